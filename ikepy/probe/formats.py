"""Checks of how messages and payloads are laid out (RFC 7296 3.1 to 3.14)."""

from __future__ import annotations

from ipaddress import ip_address

from ikepy.probe.draft import Draft
from ikepy.probe.peer import Peer
from ikepy.probe.received import Generic, Received, exchange_name, name_of
from ikepy.wire.constants import HeaderFlag, PayloadType, TransformType
from ikepy.wire.payloads import SaPayload, TrafficSelector, TsPayload
from ikepy.wire.proposal import Proposal, Transform

_PROPOSAL = 8  # octets of its header


def check_header(peer: Peer, request: Draft, got: Received) -> None:
    """The header of a response to `request` (RFC 7296 3.1)."""
    header = got.header
    peer.check(header.spi_i == request.spi_i, "the initiator's SPI of the request", header.spi_i.hex())
    peer.check(any(header.spi_r), "a responder's SPI that is not zero", header.spi_r.hex())
    peer.check(header.version >> 4 == 2, "major version 2", header.version >> 4)
    peer.check(header.version & 15 == 0, "minor version 0", header.version & 15)
    name = exchange_name(request.exchange)
    peer.check(header.exchange == request.exchange, f"exchange type {name}", exchange_name(header.exchange))
    right = HeaderFlag.RESPONSE | (
        HeaderFlag(0) if request.flags & HeaderFlag.INITIATOR else HeaderFlag.INITIATOR
    )
    peer.check(header.flags == right, f"flags {int(right):#04x}", f"{header.flags:#04x}")
    peer.check(header.message_id == request.message_id, f"message ID {request.message_id}", header.message_id)


def check_generic(peer: Peer, got: Received, type: PayloadType) -> Generic:
    """The generic header of a payload that must be there (RFC 7296 3.2); that header."""
    found = got.generic_of(type)
    peer.check(found is not None, f"a payload {type.name}", got)
    assert found is not None
    peer.check(not found.critical, f"critical bit 0 in {type.name}", int(found.critical))
    peer.check(found.reserved == 0, f"RESERVED 0 in {type.name}", found.reserved)
    return found


def check_chosen(peer: Peer, got: Received, offered: Proposal, *, what: str = "SA payload") -> Proposal:
    """An SA payload of a response takes the only proposal that was offered, transform for transform."""
    sa = got.maybe(SaPayload)
    peer.check(sa is not None and len(sa.proposals) == 1, f"one proposal in the {what}", got)
    assert sa is not None
    chosen = sa.proposals[0]
    peer.check(chosen.number == offered.number, f"proposal number {offered.number}", chosen.number)
    peer.check(chosen.protocol == offered.protocol, f"protocol {offered.protocol}", chosen.protocol)
    size = len(offered.spi)
    peer.check(len(chosen.spi) == size, f"an SPI of {size} octets", len(chosen.spi))
    came = ", ".join(map(_transform, chosen.transforms))
    wanted = ", ".join(map(_transform, offered.transforms))
    alike = sorted(map(_transform, chosen.transforms)) == sorted(map(_transform, offered.transforms))
    peer.check(alike and set(chosen.transforms) == set(offered.transforms), f"transforms {wanted}", came)
    reserved = _reserved_of(check_generic(peer, got, PayloadType.SA).body)
    peer.check(not any(reserved), "RESERVED 0 in proposal and transforms", reserved.hex())
    return chosen


def _reserved_of(body: bytes) -> bytes:
    """The RESERVED octets of an SA payload with one proposal, which is decoded already (RFC 7296 3.3)."""
    found, at = [body[1]], _PROPOSAL + body[6]
    for _ in range(body[7]):
        found += [body[at + 1], body[at + 5]]
        at += int.from_bytes(body[at + 2 : at + 4], "big")
    return bytes(found)


def _transform(one: Transform) -> str:
    name = name_of(TransformType, one.type) or str(one.type)
    return f"{name} {one.id}" + (f" of {one.key_length} bits" if one.key_length else "")


def check_sealed(peer: Peer, got: Received, first: int) -> None:
    """A response is an Encrypted payload alone, which opens; `first` is the type inside (RFC 7296 3.14)."""
    found = check_generic(peer, got, PayloadType.SK)
    peer.check(len(got.generic) == 1, "the Encrypted payload alone in the message", got)
    peer.check(found.following == first, f"next payload {first} in the Encrypted payload", found.following)


def check_selectors(peer: Peer, got: Received, type: PayloadType, asked: TrafficSelector) -> None:
    """TSi or TSr of a response has one selector, within what was asked for (RFC 7296 2.9, 3.13)."""
    found = check_generic(peer, got, type)
    peer.check(found.body[1:4] == bytes(3), f"RESERVED 0 in {type.name}", found.body[1:4].hex())
    (came,) = (one for one in got.all(TsPayload) if one.type == type)
    peer.check(len(came.selectors) == 1, f"one selector in {type.name}", len(came.selectors))
    one = came.selectors[0]
    peer.check(one.ts_type == asked.ts_type, f"selector type {asked.ts_type}", one.ts_type)
    peer.check(one.protocol == asked.protocol, f"protocol {asked.protocol}", one.protocol)
    ports = one.first_port, one.last_port
    peer.check(ports == (asked.first_port, asked.last_port), "the ports asked for", ports)
    peer.check(
        asked.first <= one.first <= one.last <= asked.last,
        f"addresses within {text_of(asked)} in {type.name}",
        text_of(one),
    )


def text_of(one: TrafficSelector) -> str:
    """A selector's addresses."""
    return f"{ip_address(one.first)} to {ip_address(one.last)}"
