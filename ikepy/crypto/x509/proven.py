"""Remembers which signatures of certificates were verified: the upper part of a chain is the same for all.

Only digests are kept, and only of signatures that hold: who knows a key that has signed can't make use of it.
"""

from __future__ import annotations

from hashlib import sha256

MOST = 4096


class Proven:
    """The latest ones. Threads may share it: at worst, one verifies again."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._names: dict[bytes, None] = {}

    def __contains__(self, name: bytes) -> bool:
        return name in self._names

    def add(self, name: bytes) -> None:
        """The oldest make room."""
        self._names[name] = None
        if len(self._names) > self._most:
            for old in list(self._names)[: self._most // 4]:
                self._names.pop(old, None)


def name_of(certificate: bytes, public_key: bytes) -> bytes:
    """For a certificate and the key that has signed it, both in DER."""
    return sha256(sha256(certificate).digest() + public_key).digest()


KNOWN = Proven()
