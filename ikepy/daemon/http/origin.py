"""Whether a request to a page of this machine comes from that page, and not from another site's.

A browser lets a stranger's page send requests here. DNS rebinding gives them the stranger's name in Host (RFC
9110 7.2), and what such a page posts or fetches has its Origin (RFC 6454 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.daemon.http.answers import Answer
from ikepy.sa.api.path import Address

Fields = Sequence[tuple[bytes, bytes]]  # of a request's header, names in lower case
Guard = Callable[[str, Fields], Answer | None]  # path and header -> the refusal; None: it may be answered


def from_everywhere(_path: str, _header: Fields) -> Answer | None:
    """No page here is for this machine alone."""
    return None


class OwnOrigin:
    """For pages of a server on a loopback address. Any port: it may be reached through a tunnel."""

    def __init__(self, address: Address) -> None:
        own = f"[{address}]" if address.version == 6 else str(address)
        self._names = frozenset({own.encode(), b"localhost"})

    def refusal(self, _path: str, header: Fields) -> Answer | None:
        """The answer to a request that another site's page may have sent; None if it is none."""
        host = next((value for name, value in header if name == b"host"), b"").lower()
        name, colon, port = host.rpartition(b":")
        named = name if colon and port.isdigit() else host
        if named not in self._names:
            return Answer.text(421, "this page has no such name: ask for it by its address\n")
        origin = next((value for name, value in header if name == b"origin"), None)
        if origin is not None and origin.lower() != b"http://" + host:
            return Answer.text(403, "another site's page asks\n")
        return None
