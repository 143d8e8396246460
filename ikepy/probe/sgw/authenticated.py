"""Checks of an IKE_AUTH response that several groups of cases share (RFC 7296 1.2, 3.5, 3.8, 3.14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ikepy.probe.draft import Draft
from ikepy.probe.formats import check_chosen, check_generic, check_header, check_sealed, check_selectors
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.target import Target
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import ExchangeType, PayloadType
from ikepy.wire.payloads import SaPayload, TsPayload

P = TypeVar("P", SaPayload, TsPayload)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A request that asked for a child, what answered it, and the IKE_SA."""

    sa: IkeSa
    request: Draft
    got: Received

    @property
    def first_inside(self) -> int:
        """The type of the first payload inside the Encrypted payload of an IKE_AUTH response."""
        return PayloadType.ID_R if self.request.exchange == ExchangeType.IKE_AUTH else self.got.inner[0].type

    def asked(self, kind: type[P], type: int) -> P:
        """A payload of the request. `NotApplicable` in a childless run, where it asks for no child."""
        for one in self.request.payloads:
            if isinstance(one, kind) and one.type == type:
                return one
        raise NotApplicable("the run is childless: the peer installs no CHILD_SA here")


Ask = Callable[[Peer], Awaitable[Exchanged]]


async def header(peer: Peer, ask: Ask) -> None:
    """The response's header."""
    exchanged = await ask(peer)
    check_header(peer, exchanged.request, exchanged.got)
    peer.check(exchanged.got.first == PayloadType.SK, "next payload SK (46)", exchanged.got.first)


async def encrypted(peer: Peer, ask: Ask) -> None:
    """The response's Encrypted payload. Padding and checksum are right where it opens."""
    exchanged = await ask(peer)
    check_sealed(peer, exchanged.got, exchanged.first_inside)


async def identity(peer: Peer, ask: Ask, target: Target | None = None) -> None:
    """The responder's identity is that of the target, the run's unless another one is given."""
    found = check_generic(peer, (await ask(peer)).got, PayloadType.ID_R)
    wanted = (target or peer.target).remote_id
    peer.check(found.body[0] == wanted.id_type, f"ID type {wanted.id_type}", found.body[0])
    peer.check(found.body[1:4] == bytes(3), "RESERVED 0 in IDr", found.body[1:4].hex())
    peer.check(found.body[4:] == wanted.data, f"identification data {wanted}", found.body[4:].hex())


async def authentication(peer: Peer, ask: Ask) -> None:
    """The responder's AUTH payload is right."""
    exchanged = await ask(peer)
    found = check_generic(peer, exchanged.got, PayloadType.AUTH)
    peer.check(found.body[:1] == b"\x02", "authentication method 2 (shared key)", found.body[:1].hex())
    peer.check(found.body[1:4] == bytes(3), "RESERVED 0 in AUTH", found.body[1:4].hex())
    exchanged.sa.check_auth(exchanged.got)
    peer.judge("authentication data that the shared key makes", "the same", passed=True)


async def security_association(peer: Peer, ask: Ask) -> None:
    """The response's SA payload takes what was offered."""
    exchanged = await ask(peer)
    (offered,) = exchanged.asked(SaPayload, PayloadType.SA).proposals
    check_generic(peer, exchanged.got, PayloadType.SA)
    check_chosen(peer, exchanged.got, offered)


async def selectors(peer: Peer, ask: Ask, type: PayloadType) -> None:
    """TSi or TSr of the response lies within what was asked for."""
    exchanged = await ask(peer)
    asked = exchanged.asked(TsPayload, type).selectors[0]
    check_selectors(peer, exchanged.got, type, asked)
