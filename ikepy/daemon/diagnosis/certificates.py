"""Certificates that have expired, or will within a month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ikepy.config.checks.expiry import SOON
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity

DAY = 86400.0
REPLACE = "Put a new one in its place and reload: ikepy reload; established SAs stay."


def of_none(certificates: Sequence[CertificateState]) -> list[CertificateState]:
    """Those that no connection names: with the others' connections they are told."""
    named = {(one.subject, one.serial) for one in certificates if one.connection}
    return [one for one in certificates if not one.connection and (one.subject, one.serial) not in named]


def findings(certificates: Iterable[CertificateState], unix_at: float) -> Iterator[Finding]:
    """Of these, in the order of their ends."""
    for one in sorted(certificates, key=lambda each: each.expires_at):
        left = one.expires_at - unix_at
        what = "CA's certificate" if one.is_ca else "certificate"
        if left < 0:
            said = f'The {what} "{one.subject}" has expired {int(-left // DAY)} days ago.'
            yield Finding(Code.CERTIFICATE_EXPIRED, Severity.ERROR, said, do=REPLACE)
        elif left < SOON:
            said = f'The {what} "{one.subject}" expires in {int(left // DAY)} days.'
            yield Finding(Code.CERTIFICATE_EXPIRES, Severity.WARNING, said, do=REPLACE)
