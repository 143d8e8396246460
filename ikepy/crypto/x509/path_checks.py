"""What makes a certification path valid beside its signatures (RFC 5280 6.1.3 to 6.1.5, RFC 4945 5.1.3).

Extended key usage: RFC 4945 5.1.3.12 takes ipsecIKE and any; strongSwan looks at none. Here also what CAs
give to gateways and users: iKEIntermediate, serverAuth, clientAuth, and the three that IPsec had before.
Policies: as RFC 5280, without mappings, which permit nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.name_constraints import NameConstraints, Names

SKEW = 300.0  # seconds by which our clock may be behind that of whoever issues
USAGES = frozenset(
    {
        ExtendedKeyUsageOID.IPSEC_IKE,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"),  # iKEIntermediate
        *(x509.ObjectIdentifier(f"1.3.6.1.5.5.7.3.{number}") for number in (5, 6, 7)),
    }
)
ANY_POLICY = "2.5.29.32.0"
# Extensions that are understood; whatever else is critical makes a certificate invalid (RFC 5280 4.2).
UNDERSTOOD = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.SubjectAlternativeName.oid,
        x509.NameConstraints.oid,
        x509.CertificatePolicies.oid,
        x509.PolicyConstraints.oid,
        x509.InhibitAnyPolicy.oid,
        x509.CRLDistributionPoints.oid,
        x509.AuthorityKeyIdentifier.oid,
        x509.SubjectKeyIdentifier.oid,
        x509.AuthorityInformationAccess.oid,
    }
)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a connection asks of paths. `through`: one of these CAs must be in it (`cacerts`); none: any.

    `policies`: object identifiers in dotted notation, all of which must hold (`cert_policy`).
    """

    through: frozenset[bytes] = frozenset()  # DER
    policies: frozenset[str] = frozenset()


ANYTHING = Requirements()


def check_end(end: Certificate) -> None:
    """Whether a certificate may authenticate an IKE peer. ValueError."""
    usage = end.extension(x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise ValueError("its key usage has neither digitalSignature nor nonRepudiation")
    extended = end.extension(x509.ExtendedKeyUsage)
    if extended is not None and USAGES.isdisjoint(extended):
        raise ValueError("its extended key usage has nothing that IKE accepts, as serverAuth or ipsecIKE")


def check(path: Sequence[Certificate], at: float, requirements: Requirements, peer: Names) -> None:
    """Whether a path of certificates, each signed by the next one, is valid at a time. ValueError. `peer`:
    the names of all its paths."""
    names, policies = NameConstraints(peer), _Policies()
    for depth in range(len(path) - 1, -1, -1):
        one = path[depth]
        try:
            _check_validity(one, at)
            _check_critical(one)
            if depth == 0 or not one.is_self_issued:
                names.check(one)
            if depth:
                _check_ca(one, path[1:depth])
                names.add(one)
            if depth < len(path) - 1:
                policies.narrow(one, depth)
        except ValueError as error:
            raise ValueError(f"{one}: {error}") from None
    if requirements.through and not any(one.der in requirements.through for one in path[1:]):
        raise ValueError(f"{path[0]}: its chain has none of the CAs of cacerts")
    policies.check(requirements.policies, path[0])


def check_validity(certificate: Certificate, at: float) -> None:
    """ValueError if a certificate is not valid yet, or any more."""
    _check_validity(certificate, at)


def _check_validity(one: Certificate, at: float) -> None:
    if at + SKEW < one.not_before:
        raise ValueError(f"it is not valid before {one.found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if at > one.not_after:
        raise ValueError(f"it has expired on {one.found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def _check_critical(one: Certificate) -> None:
    for extension in one.found.extensions:
        if extension.critical and extension.oid not in UNDERSTOOD:
            raise ValueError(f"its critical extension {extension.oid.dotted_string} is not known here")


def _check_ca(ca: Certificate, between: Sequence[Certificate]) -> None:
    """`between`: the CAs from it down to the end entity."""
    basic = ca.extension(x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise ValueError("it is no CA: its basicConstraints do not say so")
    below = sum(not one.is_self_issued for one in between)
    if basic.path_length is not None and below > basic.path_length:
        raise ValueError(f"its path length is {basic.path_length}, and {below} CAs are below it")
    usage = ca.extension(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its key usage has no keyCertSign")


class _Policies:
    """The policies under which a path is valid: None stands for all."""

    def __init__(self) -> None:
        self._valid: frozenset[str] | None = None
        self._explicit: int | None = None  # certificates until a policy is needed
        self._any: int | None = None  # certificates until anyPolicy counts for nothing

    def narrow(self, one: Certificate, depth: int) -> None:
        """By another certificate, from the anchor on; `depth` 0 is the end entity."""
        stated = one.extension(x509.CertificatePolicies) or ()
        own = frozenset(policy.policy_identifier.dotted_string for policy in stated)
        if ANY_POLICY not in own or (self._any == 0 and not (depth and one.is_self_issued)):
            own -= {ANY_POLICY}
            self._valid = own if self._valid is None else self._valid & own
        self._count(one, depth)
        if self._explicit == 0 and self._valid == frozenset():
            raise ValueError("no certificate policy holds, and one is asked for")

    def _count(self, one: Certificate, depth: int) -> None:
        constraints, inhibit = one.extension(x509.PolicyConstraints), one.extension(x509.InhibitAnyPolicy)
        if not one.is_self_issued:
            self._explicit = _less(self._explicit)
            self._any = _less(self._any)
        if constraints is not None:
            self._explicit = _least(self._explicit, constraints.require_explicit_policy)
        if inhibit is not None:
            self._any = _least(self._any, inhibit.skip_certs)

    def check(self, wanted: frozenset[str], end: Certificate) -> None:
        lacking = wanted - self._valid if self._valid is not None else ()
        if lacking:
            raise ValueError(f"{end}: its chain lacks the policy {min(lacking)} of cert_policy")


def _less(count: int | None) -> int | None:
    return None if count is None else max(count - 1, 0)


def _least(count: int | None, other: int | None) -> int | None:
    return other if count is None else count if other is None else min(count, other)
