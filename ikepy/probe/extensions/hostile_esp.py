"""IKEPY.H.2.40 and on: replayed, damaged and cut ESP packets (RFC 4303 3.4)."""

from __future__ import annotations

from ikepy.probe.child import echo_request
from ikepy.probe.draft import flipped
from ikepy.probe.extensions.common import (
    GROUP,
)
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case


@case("IKEPY.H.2.40", rfc="RFC 4303 3.4.3", group=GROUP)
async def replayed_esp(peer: Peer) -> None:
    """An ESP packet that comes again is not delivered again."""
    source, destination = peer.echo_hosts()
    sa = await peer.establish()
    child = sa.child
    await peer.ping(child)
    octets = child.seal(echo_request(source, destination, 0x7777, 1))
    for _ in range(3):
        await peer.send_esp(octets)
    await peer.pause(peer.limits.quiet_s)
    replies = [got for got in peer.esp_inbox if got.inner is not None and got.inner.identifier == 0x7777]
    peer.check(len(replies) == 1, "one echo reply", len(replies))


@case("IKEPY.H.2.41", rfc="RFC 4303 3.4.4", group=GROUP)
async def damaged_esp(peer: Peer) -> None:
    """ESP packets with a wrong ICV, of an unknown SPI, and of a few octets are dropped without harm."""
    source, destination = peer.echo_hosts()
    sa = await peer.establish()
    child = sa.child
    octets = child.seal(echo_request(source, destination, 0x7778, 1))
    for one in (flipped(octets), b"\xde\xad\xbe\xef" + octets[4:], octets[:9], octets[:20]):
        await peer.send_esp(one)
    await peer.pause(peer.limits.quiet_s)
    replies = [got for got in peer.esp_inbox if got.inner is not None and got.inner.identifier == 0x7778]
    peer.check(not replies, "no echo reply", replies)
    await peer.ping(child)
