"""Findings on certificates that expire."""

from dataclasses import replace

from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.diagnosis import certificates
from ikepy.daemon.diagnosis.findings import Code, Severity

NOW, DAY = 1_800_000_000.0, 86400.0


def state(name: str, days: float, *, is_ca: bool = False) -> CertificateState:
    return CertificateState("net", f"CN={name}", "1f", is_ca, NOW + days * DAY)


def test_expired_and_soon() -> None:
    states = [state("later", 31), state("soon", 29.5), state("ca", 3, is_ca=True), state("old", -2.5)]
    found = list(certificates.findings(states, NOW))
    assert [(one.code, one.severity, one.what) for one in found] == [
        (Code.CERTIFICATE_EXPIRED, Severity.ERROR, 'The certificate "CN=old" has expired 2 days ago.'),
        (Code.CERTIFICATE_EXPIRES, Severity.WARNING, 'The CA\'s certificate "CN=ca" expires in 3 days.'),
        (Code.CERTIFICATE_EXPIRES, Severity.WARNING, 'The certificate "CN=soon" expires in 29 days.'),
    ]


def test_what_a_connection_names_is_told_with_it_alone() -> None:
    gateway, other = state("gateway", 3), replace(state("ca", 3), connection="")
    assert certificates.of_none([gateway, replace(gateway, connection=""), other]) == [other]
