"""SGW.R.1.1.10: a shared key of binary octets."""

from __future__ import annotations

from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.probe.verdict import NotApplicable


@case("SGW.R.1.1.10.4", rfc="RFC 7296 2.15")
async def binary_key(peer: Peer) -> None:
    """HEX string PSK."""
    if peer.target.psk.expose().isascii():
        raise NotApplicable("the shared key is text; give one in hexadecimal (0x...) at both ends")
    await peer.establish()
