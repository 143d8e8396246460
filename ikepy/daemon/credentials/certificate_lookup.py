"""Fetches certificates that peers give by hash and URL (RFC 7296 3.6), in threads that may wait.

Anybody may name any address, before anything is known of them: so this has places of its own, which hold up
nobody who wants a CRL, little time, room for one certificate, and nothing is parsed that has another SHA-1.
"""

from __future__ import annotations

from hashlib import sha1

from ikepy.daemon.credentials.cache import LONGEST, Cache, Fetched
from ikepy.daemon.credentials.fetch_error import FetchError
from ikepy.daemon.credentials.fetcher import Fetcher, check_uri

SECONDS = 4.0  # for one
MAX_FETCHED = 16384  # octets


class CertificateLookup:
    """To be used from any thread."""

    def __init__(self, fetcher: Fetcher | None = None) -> None:
        self._fetcher = fetcher or Fetcher(seconds=SECONDS)
        self._found: Cache[bytes] = Cache()

    def clear(self) -> None:
        """Forget what was fetched."""
        self._found.clear()

    def get(self, digest: bytes, url: str, at: float) -> bytes:
        """What is at a URL and has this SHA-1; nothing else is known of it. `at`: now, seconds since 1970.

        Raises ValueError, with a text for the log.
        """

        def fetch() -> Fetched[bytes]:
            data = self._fetcher.get(url, MAX_FETCHED)
            if sha1(data, usedforsecurity=False).digest() != digest:
                raise FetchError("what is there has another hash than the peer says")
            return Fetched(data, at + LONGEST, len(data))

        try:
            check_uri(url)  # before it takes a place in the cache
            return self._found.get((digest, url), at, fetch)
        except FetchError as error:
            raise ValueError(f"certificate by hash and URL {url[:120]!r}: {error}") from None
