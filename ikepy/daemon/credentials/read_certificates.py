"""Certificates of peers that were read before: with each set-up the same ones come again.

Only reading is saved: validity, path and revocation are checked each time. Those are kept that were part of a
valid path to a CA of ours, so that strangers can't fill it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ikepy.crypto.x509.certificate import Certificate, certificate

MOST = 1024
MAX_KEPT = 4096  # octets of one that is kept


class ReadCertificates:
    """By their DER. Threads may share it: at worst, one reads again."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[bytes, Certificate] = {}

    def __len__(self) -> int:
        return len(self._known)

    def read(self, der: bytes) -> Certificate:
        """ValueError as `certificate`."""
        return self._known.get(der) or certificate(der)

    def keep(self, proven: Iterable[Certificate]) -> None:
        """The certificates of a valid path; the oldest make room."""
        for one in proven:
            if len(one.der) <= MAX_KEPT:
                self._known.setdefault(one.der, one)
        if len(self._known) > self._most:
            for old in list(self._known)[: self._most // 4]:
                self._known.pop(old, None)
