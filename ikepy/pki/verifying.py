"""Whether a certificate leads to a CA and is not revoked, as the daemon sees it (`ikepy.crypto.x509`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from ikepy.crypto.x509 import path
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.crl import Crl, crl


def verify(leaf: bytes, cas: Sequence[bytes], crls: Sequence[bytes], now: float | None = None) -> list[str]:
    """The subjects of the path from `leaf` to one of `cas` that nobody above it issued. ValueError: why none.

    `crls`: each certificate is looked for in that of its issuer; none: revocation is not looked at. All in
    PEM or DER. `now`: seconds since 1970.
    """
    now = time.time() if now is None else now
    anchors = path.Anchors([certificate(one) for one in cas])
    found = path.find(certificate(leaf), [], anchors, now)
    lists = [crl(one) for one in crls]
    if lists:
        for one, issuer in pairwise(found.certificates):
            _check(one, issuer, lists, now)
    return [str(one.subject) for one in found.certificates]


def _check(one: Certificate, issuer: Certificate, lists: Sequence[Crl], now: float) -> None:
    why = f'that of "{issuer.subject}" is not given'
    for own in lists:
        if own.issuer.folded != issuer.subject.folded:
            continue
        try:
            own.verify(issuer)
        except ValueError as error:
            why = str(error)
            continue
        if not own.is_current(now):
            why = "it is stale"
            continue
        revoked = own.revoked(one.found.serial_number)
        if revoked is not None:
            raise ValueError(f'"{one.subject}" was revoked: {revoked}')
        return
    raise ValueError(f'no CRL says that "{one.subject}" is not revoked: {why}')
