"""SGW.I.1.1.1.1, 1.1.1.2, 1.2.1.1 and 2.1.1.1: how the initiator's requests are laid out."""

from __future__ import annotations

import os
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ikepy.crypto.kex import registry as key_exchanges
from ikepy.probe.child import Child
from ikepy.probe.formats import check_generic, check_sealed, text_of
from ikepy.probe.ike_sa import NO_SPI, IkeSa
from ikepy.probe.listen.cases import Function, initiator_case
from ikepy.probe.listen.profile import COMMON, Profile
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received, exchange_name
from ikepy.probe.target import selector
from ikepy.wire.constants import AuthMethod, ExchangeType, HeaderFlag, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import KePayload, TrafficSelector, TsPayload

ENDPOINT = COMMON.but("endpoint", endpoint=True)
_NONCE = range(16, 257)  # octets (RFC 7296 2.10, 3.9)
_MORE_PROPOSALS, _MORE_TRANSFORMS = 2, 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the initiator, of its IKE_SA; `old`: the child that it rekeys."""

    sa: IkeSa
    request: Received
    old: Child | None = None


Ask = Callable[[UnderTest], Awaitable[Asked]]
Check = Callable[[UnderTest, Asked], None]


async def _init(nut: UnderTest) -> Asked:
    return Asked(*await nut.begins())


def _auth(profile: Profile) -> Ask:
    async def ask(nut: UnderTest) -> Asked:
        sa, init = await nut.begins(profile)
        return Asked(sa, await nut.authenticates(sa, init))

    return ask


async def _rekey(nut: UnderTest) -> Asked:
    sa = await nut.sets_up()
    old, request = await nut.rekeys_child(sa)
    return Asked(sa, request, old)


def _header(exchange: ExchangeType, message_id: int) -> Check:
    def check(nut: UnderTest, asked: Asked) -> None:
        peer, header, first = nut.peer, asked.request.header, asked.request.first
        spi_r = NO_SPI if exchange == ExchangeType.IKE_SA_INIT else asked.sa.spi_r
        wanted = PayloadType.SA if exchange == ExchangeType.IKE_SA_INIT else PayloadType.SK
        length = int.from_bytes(asked.request.octets[24:28])
        peer.check(any(header.spi_i), "an initiator's SPI that is not zero", header.spi_i.hex())
        peer.check(header.spi_r == spi_r, f"the responder's SPI {spi_r.hex()}", header.spi_r.hex())
        peer.check(first == wanted, f"next payload {wanted.name}", first)
        peer.check(header.version == 0x20, "version 2.0", f"{header.version:#04x}")
        name = exchange_name(header.exchange)
        peer.check(header.exchange == exchange, f"exchange type {exchange.name}", name)
        flags = int(HeaderFlag.INITIATOR)
        peer.check(header.flags == flags, f"flags {flags:#04x}", f"{header.flags:#04x}")
        peer.check(header.message_id == message_id, f"message ID {message_id}", header.message_id)
        peer.check(length == len(asked.request.octets), "the message's length", length)

    return check


def _encrypted(nut: UnderTest, asked: Asked) -> None:
    """Padding and checksum are right, for it could be opened."""
    check_sealed(nut.peer, asked.request, asked.request.inner[0].type)


def _proposals(protocol: ProtocolId, spi_size: int) -> Check:
    def check(nut: UnderTest, asked: Asked) -> None:
        found = check_generic(nut.peer, asked.request, PayloadType.SA)
        _check_proposals(nut.peer, found.body, protocol, spi_size)
        nut.check_offered(asked.request, _suite(nut, protocol))

    return check


def _suite(nut: UnderTest, protocol: ProtocolId) -> str:
    return nut.peer.target.ike if protocol == ProtocolId.IKE else nut.peer.target.esp


def _check_proposals(peer: Peer, body: bytes, protocol: ProtocolId, spi_size: int) -> None:
    """Proposals and transforms are linked, and what is reserved is zero (RFC 7296 3.3.1, 3.3.2)."""
    at, number = 0, 0
    while at < len(body):
        number += 1
        last, reserved, length, num, kind, size, count = struct.unpack_from("!BBHBBBB", body, at)
        end = at + length
        more = _MORE_PROPOSALS if end < len(body) else 0
        peer.check(last == more, f"{more} in front of proposal {number}", last)
        peer.check(reserved == 0, f"RESERVED 0 in proposal {number}", reserved)
        peer.check(num == number, f"proposal number {number}", num)
        peer.check(kind == protocol, f"protocol {protocol.name} in proposal {number}", kind)
        peer.check(size == spi_size, f"SPI size {spi_size} in proposal {number}", size)
        inside, seen = at + 8 + size, 0
        while inside < end:
            seen += 1
            last, reserved, length, _, reserved2, _ = struct.unpack_from("!BBHBBH", body, inside)
            more = _MORE_TRANSFORMS if inside + length < end else 0
            what = f"transform {seen} of proposal {number}"
            peer.check(last == more, f"{more} in front of {what}", last)
            peer.check(reserved == reserved2 == 0, f"RESERVED 0 in {what}", (reserved, reserved2))
            inside += max(length, 8)
        peer.check(inside == end and seen == count, f"{count} transforms in proposal {number}", seen)
        at = max(end, at + 8)
    peer.check(at == len(body), "proposals that fill the payload", f"{at} of {len(body)} octets")


def _ke(nut: UnderTest, asked: Asked) -> None:
    found = check_generic(nut.peer, asked.request, PayloadType.KE)
    ke = asked.request.maybe(KePayload)
    nut.peer.check(ke is not None, "a KE payload", asked.request)
    assert ke is not None
    nut.peer.check(found.body[2:4] == bytes(2), "RESERVED 0 in KE", found.body[2:4].hex())
    size = len(key_exchanges.method(ke.group).begin(os.urandom)().public)
    nut.peer.check(len(ke.data) == size, f"{size} octets of key exchange data", len(ke.data))


def _nonce(nut: UnderTest, asked: Asked) -> None:
    found = check_generic(nut.peer, asked.request, PayloadType.NONCE)
    nut.peer.check(len(found.body) in _NONCE, "16 to 256 octets of nonce", len(found.body))


def _identity(nut: UnderTest, asked: Asked) -> None:
    found = check_generic(nut.peer, asked.request, PayloadType.ID_I)
    wanted = nut.peer.target.remote_id
    nut.peer.check(found.body[0] == wanted.id_type, f"ID type {wanted.id_type}", found.body[0])
    nut.peer.check(found.body[1:4] == bytes(3), "RESERVED 0 in IDi", found.body[1:4].hex())
    nut.peer.check(found.body[4:] == wanted.data, f"identification data {wanted}", found.body[4:].hex())


def _authentication(nut: UnderTest, asked: Asked) -> None:
    """Its data is right, or we had not come here."""
    found = check_generic(nut.peer, asked.request, PayloadType.AUTH)
    method = AuthMethod.SHARED_KEY_MIC
    nut.peer.check(found.body[0] == method, f"authentication method {int(method)}", found.body[0])
    nut.peer.check(found.body[1:4] == bytes(3), "RESERVED 0 in AUTH", found.body[1:4].hex())


def _selectors(type: PayloadType) -> Check:
    def check(nut: UnderTest, asked: Asked) -> None:
        target = nut.peer.target
        near = target.local if nut.profile.endpoint else target.local_net
        wanted = selector(target.remote_net if type == PayloadType.TS_I else near)
        found = check_generic(nut.peer, asked.request, type)
        nut.peer.check(found.body[1:4] == bytes(3), f"RESERVED 0 in {type.name}", found.body[1:4].hex())
        came = [one for ts in asked.request.all(TsPayload) if ts.type == type for one in ts.selectors]
        nut.peer.check(
            any(_covers(one, wanted) for one in came),
            f"a selector that covers {text_of(wanted)}, any protocol and port, in {type.name}",
            _texts(came),
        )

    return check


def _covers(one: TrafficSelector, wanted: TrafficSelector) -> bool:
    ports = one.first_port, one.last_port
    return (
        (one.ts_type, one.protocol, ports) == (wanted.ts_type, 0, (0, 65535))
        and one.first <= wanted.first
        and wanted.last <= one.last
    )


def _texts(selectors: Sequence[TrafficSelector]) -> str:
    return ", ".join(map(text_of, selectors)) or "none"


def _rekey_notify(nut: UnderTest, asked: Asked) -> None:
    """`rekeys_child` has judged protocol and SPI."""
    check_generic(nut.peer, asked.request, PayloadType.NOTIFY)
    notify = asked.request.notify(NotifyType.REKEY_SA)
    nut.peer.check(notify is not None and not notify.data, "N(REKEY_SA) without data", asked.request)


def _register(id: str, title: str, ask: Ask, parts: dict[str, tuple[str, str, Check]]) -> None:
    for part, (what, rfc, check) in parts.items():
        initiator_case(f"{id}.{part}", rfc=f"RFC 7296 {rfc}", title=f"{title}: {what}")(_case(ask, check))


def _case(ask: Ask, check: Check) -> Function:
    async def function(nut: UnderTest) -> None:
        check(nut, await ask(nut))

    return function


_register(
    "SGW.I.1.1.1.1",
    "Sending IKE_SA_INIT request",
    _init,
    {
        "A": ("IKE header format", "3.1", _header(ExchangeType.IKE_SA_INIT, 0)),
        "B": ("SA payload format", "3.3", _proposals(ProtocolId.IKE, 0)),
        "C": ("KE payload format", "3.4", _ke),
        "D": ("nonce payload format", "3.9", _nonce),
    },
)
for _id, _to, _profile in (("1.1.1.2", "", COMMON), ("2.1.1.1", " to an end node", ENDPOINT)):
    _register(
        f"SGW.I.{_id}",
        f"Sending IKE_AUTH request{_to}",
        _auth(_profile),
        {
            "A": ("IKE header format", "3.1", _header(ExchangeType.IKE_AUTH, 1)),
            "B": ("Encrypted payload format", "3.14", _encrypted),
            "C": ("IDi payload format", "3.5", _identity),
            "D": ("AUTH payload format", "3.8", _authentication),
            "E": ("SA payload format", "3.3", _proposals(ProtocolId.ESP, 4)),
            "F": ("TSi payload format", "3.13", _selectors(PayloadType.TS_I)),
            "G": ("TSr payload format", "3.13", _selectors(PayloadType.TS_R)),
        },
    )
_register(
    "SGW.I.1.2.1.1",
    "Sending CREATE_CHILD_SA request",
    _rekey,
    {
        "A": ("IKE header format", "3.1", _header(ExchangeType.CREATE_CHILD_SA, 2)),
        "B": ("Encrypted payload format", "3.14", _encrypted),
        "C": ("Notify payload (REKEY_SA) format", "3.10", _rekey_notify),
        "D": ("SA payload format", "3.3", _proposals(ProtocolId.ESP, 4)),
        "E": ("nonce payload format", "3.9", _nonce),
        "F": ("TSi payload format", "3.13", _selectors(PayloadType.TS_I)),
        "G": ("TSr payload format", "3.13", _selectors(PayloadType.TS_R)),
    },
)
