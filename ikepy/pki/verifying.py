"""Whether a certificate leads to a CA and is not revoked, as the daemon sees it (`ikepy.crypto.x509`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from ikepy.crypto.x509 import path, revocation
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.crl import Crl, crl
from ikepy.crypto.x509.revocation import Standing


def verify(leaf: bytes, cas: Sequence[bytes], crls: Sequence[bytes], now: float | None = None) -> list[str]:
    """The subjects of the path from `leaf` to one of `cas` that nobody above it issued. ValueError: why none.

    `leaf` may be a CA's. `crls`: each certificate is looked for in those of its issuer, as the daemon does;
    none: revocation is not looked at. All in PEM or DER. `now`: seconds since 1970.
    """
    now = time.time() if now is None else now
    anchors = path.Anchors([certificate(one) for one in cas])
    end = certificate(leaf)
    found = path.find(end, [], anchors, now, of_peer=not end.is_ca)
    lists = [crl(one) for one in crls]
    if lists:
        for one, issuer in pairwise(found.certificates):
            _check(one, issuer, lists, now)
    return [str(one.subject) for one in found.certificates]


def _check(one: Certificate, issuer: Certificate, lists: Sequence[Crl], now: float) -> None:
    finding = revocation.by_crls(one, issuer, lists, now)
    if finding is not None and finding.standing is Standing.REVOKED:
        raise ValueError(f'"{one.subject}" was {finding.text}')
    if finding is None or finding.standing is not Standing.GOOD:
        why = f'none of "{issuer.subject}" that is given covers it' if finding is None else finding.text
        raise ValueError(f'no CRL says that "{one.subject}" is not revoked: {why}')
