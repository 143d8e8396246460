"""A responder that takes what it is told to take, in a few manners, on two ports of the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from ikepy.errors import WireError
from ikepy.wire.constants import (
    NON_ESP_MARKER,
    ExchangeType,
    HeaderFlag,
    KeGroup,
    NotifyType,
    ProtocolId,
    TransformType,
)
from ikepy.wire.message import IkeHeader, Message, decode_message, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

COOKIE = b"a cookie"
_REPEATED_AFTER = 0.05  # seconds
SPI_R = b"\x52" * 8


@dataclass
class Responder:
    """`suites`: sets of transforms, each an alternative of its own. `extra`: payloads of an accepting
    response.

    `cookies`: one is asked for. `mute`: offers that are not acceptable get no answer. `strict`: a KE payload
    of a group that was not offered is INVALID_SYNTAX. `redirect`: data of a REDIRECT for those that support
    it. `raw`: what is answered to everything, in place of all that. `lost`: of a datagram, whether it never
    comes here. `seconds`: until an answer is sent.
    """

    suites: Collection[Collection[Transform]]
    extra: tuple[Payload, ...] = ()
    cookies: bool = False
    mute: bool = False
    strict: bool = False
    redirect: bytes = b""
    raw: bytes | None = None
    most: int = 10**6  # answers, before it falls silent
    requests: list[Message] = field(default_factory=list)
    half_open: int = 0
    lost: Callable[[bytes], bool] = lambda _: False
    seconds: float = 0.0
    old: bytes = b""  # the payloads of an IKEv1 answer, which comes three times

    def answer(self, datagram: bytes) -> bytes | None:
        """What is sent back."""
        if self.raw is not None:
            return datagram[:8] + self.raw
        try:
            message = decode_message(datagram)
        except WireError:
            return None
        if message.header.exchange != ExchangeType.IKE_SA_INIT or message.header.is_response:
            return None
        self.requests.append(message)
        if len(self.requests) > self.most:
            return None
        payloads = self._payloads(message)
        if payloads is None:
            return None
        header = IkeHeader(
            message.header.spi_i,
            SPI_R,
            ExchangeType.IKE_SA_INIT,
            HeaderFlag.RESPONSE,
            message.header.message_id,
        )
        return encode_message(header, payloads)

    def _payloads(self, message: Message) -> tuple[Payload, ...] | None:
        notifies = {one.notify: one.data for one in message.payloads if isinstance(one, NotifyPayload)}
        sa = next((one for one in message.payloads if isinstance(one, SaPayload)), None)
        ke = next((one for one in message.payloads if isinstance(one, KePayload)), None)
        if sa is None or ke is None or not any(isinstance(one, NoncePayload) for one in message.payloads):
            return (NotifyPayload(NotifyType.INVALID_SYNTAX),)
        if self.cookies and notifies.get(NotifyType.COOKIE) != COOKIE:
            return (NotifyPayload(NotifyType.COOKIE, COOKIE),)
        if self.redirect and NotifyType.REDIRECT_SUPPORTED in notifies:
            return (NotifyPayload(NotifyType.REDIRECT, self.redirect),)
        offered = {one.id for each in sa.proposals for one in each.transforms if one.type == TransformType.KE}
        if self.strict and ke.group not in offered:
            return (NotifyPayload(NotifyType.INVALID_SYNTAX),)
        chosen = next((found for each in sa.proposals if (found := self._choose(each, ke.group))), None)
        if chosen is None:
            return None if self.mute else (NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN),)
        group = next(one.id for one in chosen if one.type == TransformType.KE)
        if group != ke.group:
            return (NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, group.to_bytes(2, "big")),)
        self.half_open += 1
        proposal = Proposal(1, ProtocolId.IKE, b"", tuple(chosen))
        return (SaPayload((proposal,)), KePayload(group, bytes(32)), NoncePayload(bytes(32)), *self.extra)

    def _choose(self, proposal: Proposal, group: int) -> list[Transform]:
        """One transform of each offered type, that of the KE payload where it may be; [] if nothing fits."""
        for suite in self.suites:
            chosen: list[Transform] = []
            for kind in sorted({one.type for one in proposal.transforms}):
                fitting = [one for one in proposal.transforms if one.type == kind and one in suite]
                fitting.sort(key=lambda one: one.type != TransformType.KE or one.id != group)
                chosen += fitting[:1]
            kinds = {one.type for one in chosen}
            if kinds == {one.type for one in proposal.transforms} == {one.type for one in suite}:
                return chosen
        return []


class _Port(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder, marker: bytes) -> None:
        self._responder, self._marker = responder, marker
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if self._responder.lost(data.removeprefix(self._marker)):
            return
        if self._responder.old and data[17:18] == b"\x10":
            body = self._responder.old
            whole = data[:8] + SPI_R + b"\1\x10" + data[18:24] + (28 + len(body)).to_bytes(4, "big") + body
            for n in range(3):
                asyncio.get_running_loop().call_later(n * _REPEATED_AFTER, self._send, whole, addr)
            return
        answer = self._responder.answer(data.removeprefix(self._marker))
        if answer is not None:
            whole, loop = self._marker + answer, asyncio.get_running_loop()
            loop.call_later(self._responder.seconds, self._send, whole, addr)

    def _send(self, datagram: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.sendto(datagram, addr)


@asynccontextmanager
async def listening(responder: Responder) -> AsyncIterator[tuple[int, int]]:
    """The ports: one as 500, one as 4500."""
    loop = asyncio.get_running_loop()
    plain, _ = await loop.create_datagram_endpoint(lambda: _Port(responder, b""), ("127.0.0.1", 0))
    natted, _ = await loop.create_datagram_endpoint(
        lambda: _Port(responder, NON_ESP_MARKER), ("127.0.0.1", 0)
    )
    try:
        yield plain.get_extra_info("sockname")[1], natted.get_extra_info("sockname")[1]
    finally:
        plain.close()
        natted.close()


def suite(*transforms: Transform) -> frozenset[Transform]:
    """An alternative."""
    return frozenset(transforms)


def encr(id: int, bits: int | None = None) -> Transform:
    return Transform(TransformType.ENCR, id, bits)


def prf(id: int) -> Transform:
    return Transform(TransformType.PRF, id)


def integ(id: int) -> Transform:
    return Transform(TransformType.INTEG, id)


def ke(*ids: int) -> list[Transform]:
    return [Transform(TransformType.KE, one) for one in ids]


X25519 = ke(KeGroup.CURVE_25519)
