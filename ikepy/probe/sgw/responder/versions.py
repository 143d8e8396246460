"""SGW.R.1.1.4: versions, and payloads that the peer does not know (RFC 7296 2.5)."""

from __future__ import annotations

from ikepy.probe.draft import RawPayload
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.payloads import KePayload, NoncePayload, SaPayload

TYPES = {"A": 1, "B": 32, "C": 49, "D": 255}


@case("SGW.R.1.1.4.1", rfc="RFC 7296 2.5")
async def minor_version(peer: Peer) -> None:
    """Receipt of a higher minor version number."""
    sa = peer.new_sa()
    _, got = await peer.ask_init(sa.init_request().but(version=0x21))
    sa.take_init_response(got)
    peer.check(got.header.version == 0x20, "version 2.0 in the response", f"{got.header.version:#04x}")


@case("SGW.R.1.1.4.2", rfc="RFC 7296 2.5", level="SHOULD")
async def major_version(peer: Peer) -> None:
    """Receipt of a higher major version number."""
    request = peer.new_sa().init_request().but(version=0x30)
    await peer.send(request)
    got = await peer.expect(lambda one: one.header.spi_i == request.spi_i, what="N(INVALID_MAJOR_VERSION)")
    peer.check_notify(got, NotifyType.INVALID_MAJOR_VERSION)
    peer.check(got.header.version >> 4 == 2, "major version 2 in the response", got.header.version >> 4)


def _not_critical(part: str, type: int) -> None:
    @case(
        f"SGW.R.1.1.4.3.{part}",
        rfc="RFC 7296 2.5",
        title=f"Unrecognized payload type {type}, critical bit not set",
    )
    async def unknown_payload(peer: Peer) -> None:
        sa = await peer.establish()
        request = sa.create_child_request(rekey=sa.child)
        request = request.but(payloads=(RawPayload(type, b""), *request.payloads))
        sa.take_create_child(await peer.ask(request), request)


def _critical(part: str, type: int) -> None:
    @case(
        f"SGW.R.1.1.4.4.{part}",
        rfc="RFC 7296 2.5",
        title=f"Unrecognized payload type {type}, critical bit set",
    )
    async def unknown_critical_payload(peer: Peer) -> None:
        sa = await peer.establish()
        request = sa.create_child_request(rekey=sa.child)
        notify, *others = request.payloads
        unknown = RawPayload(type, b"", critical=True)
        got = await peer.ask(request.but(payloads=(notify, unknown, *others)))
        found = peer.check_notify(got, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)
        peer.check(found.data == bytes([type]), f"notification data {type:#04x}", found.data.hex())
        peer.check(await peer.alive(sa), "an IKE_SA that lives on", "none")


for _part, _type in TYPES.items():
    _not_critical(_part, _type)
    _critical(_part, _type)


@case("SGW.R.1.1.4.5", rfc="RFC 7296 2.5")
async def any_order(peer: Peer) -> None:
    """Invalid order payloads.

    The specification expects silence, as RFC 4306 permitted; RFC 7296 2.5 forbids to refuse any order.
    """
    sa = peer.new_sa()
    request = sa.init_request()
    others = request.without(PayloadType.SA, PayloadType.KE, PayloadType.NONCE).payloads
    found = {type(one): one for one in request.payloads}
    swapped = (found[SaPayload], found[NoncePayload], found[KePayload], *others)
    _, got = await peer.ask_init(request.but(payloads=swapped))
    sa.take_init_response(got)
