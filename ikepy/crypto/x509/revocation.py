"""Whether a certificate is revoked, by CRLs and OCSP responses at hand, and what `revocation` makes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ikepy.crypto.x509 import ocsp
from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.crl import Crl

MAX_URIS = 4  # of one certificate, that are asked


class Standing(Enum):
    """UNKNOWN: somebody could say, but nothing current is to be had. UNSAID: nobody is known who could."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text`: for the log. `until`: when what says so is out of date, in seconds since 1970; None: never."""

    standing: Standing
    text: str
    until: float | None = None


# What each policy of swanctl's takes.
PERMITTED = {
    "strict": frozenset({Standing.GOOD}),
    "ifuri": frozenset({Standing.GOOD, Standing.UNSAID}),
    "relaxed": frozenset({Standing.GOOD, Standing.UNSAID, Standing.UNKNOWN}),
}


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """What several together say: that it is revoked, if one of them does, else that it is good, else what the
    first says; None: there is none."""
    found = list(findings)
    for standing in (Standing.REVOKED, Standing.GOOD):
        for one in found:
            if one.standing is standing:
                return one
    return found[0] if found else None


def by_crls(of: Certificate, issuer: Certificate, crls: Iterable[Crl], at: float) -> Finding | None:
    """What the CRLs of its CA say; None: there is none. A list that is out of date can still revoke."""
    found: Finding | None = None
    own = sorted((one for one in crls if one.issuer.folded == of.issuer.folded), key=lambda one: -one.issued)
    for one in own:
        try:
            if not one.is_for(of):
                continue
            one.verify(issuer)
            why = one.revoked(of.found.serial_number)
        except ValueError as error:
            found = found or Finding(Standing.UNKNOWN, f"CRL: {error}")
            continue
        if why is not None:
            return Finding(Standing.REVOKED, f"revoked ({why})")
        if one.is_current(at):
            return Finding(Standing.GOOD, "not in the CRL", one.next_update)
        found = found or Finding(Standing.UNKNOWN, "the CRL is out of date")
    return found


def by_ocsp(
    of: Certificate,
    issuer: Certificate,
    responses: Iterable[tuple[bytes, bytes]],
    at: float,
    responders: Collection[Certificate] = (),
) -> Finding | None:
    """What OCSP responses say, each with its request's nonce; None: there is none."""
    return gravest([_of_response(of, issuer, data, nonce, at, responders) for data, nonce in responses])


def _of_response(
    of: Certificate,
    issuer: Certificate,
    data: bytes,
    nonce: bytes,
    at: float,
    responders: Collection[Certificate],
) -> Finding:
    try:
        said = ocsp.answer(data, of, issuer, at, nonce, responders)
    except ValueError as error:
        return Finding(Standing.UNKNOWN, f"OCSP: {error}")
    match said.says:
        case ocsp.Says.REVOKED:
            return Finding(Standing.REVOKED, f"revoked ({said.text})")
        case ocsp.Says.GOOD:
            return Finding(Standing.GOOD, "good by OCSP", said.until)
    return Finding(Standing.UNKNOWN, f"OCSP: {said.text}")


def ocsp_uris(of: Certificate) -> list[str]:
    """The responders that a certificate names. They are asked only if its path is valid."""
    access = of.extension(x509.AuthorityInformationAccess) or ()
    return [
        one.access_location.value
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    ][:MAX_URIS]


def crl_uris(of: Certificate) -> list[str]:
    """The distribution points that a certificate names: of whole lists of its CA's own."""
    points = of.extension(x509.CRLDistributionPoints) or ()
    return [
        name.value
        for point in points
        if point.crl_issuer is None and point.reasons is None
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ][:MAX_URIS]
