"""IKEPY.H.1: what somebody sends who has no credentials. None of it may harm the peer, or an IKE_SA that
stands.

The RFC sections say what is to be done; where they leave it open, only the harm counts.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace

from ikepy.probe.draft import AnyPayload, Draft, RawPayload, raw
from ikepy.probe.extensions.common import (
    GROUP,
    begun,
    is_childless,
    said,
    still_serves,
)
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.target import ike_proposal
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import (
    AuthPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    SaPayload,
    UnknownPayload,
)
from ikepy.wire.proposal import Proposal, Transform

_UNKNOWN = 200  # a payload type without a meaning
_LENGTH = 24  # its offset in the header


async def _answers(peer: Peer, draft: Draft) -> list[Received]:
    """Send it once, again with the cookie if one is wanted, and give what comes within a moment."""
    for _ in range(2):
        await peer.send(draft)
        await peer.pause(peer.limits.quiet_s)
        found = [got for got in peer.inbox if got.header.spi_i == draft.spi_i]
        peer.inbox.clear()
        cookie = next((one for got in found if (one := got.notify(NotifyType.COOKIE))), None)
        if cookie is None:
            break
        draft = draft.but(payloads=(NotifyPayload(NotifyType.COOKIE, cookie.data), *draft.payloads))
    return found


async def _refused(peer: Peer, draft: Draft, what: str, *allowed: NotifyType) -> None:
    """It gets no answer, or an error (of `allowed`, if given); afterwards the peer serves as before."""
    for got in await _answers(peer, draft):
        named = got.error is not None and (not allowed or got.error.notify in allowed)
        peer.check(named, f"no answer to {what}, or an error", got)
    await still_serves(peer)


def _init(peer: Peer) -> Draft:
    return peer.new_sa().init_request()


def _with(draft: Draft, type: int, *payloads: AnyPayload) -> Draft:
    """With other payloads in the place of the one of that type."""
    changed: list[AnyPayload] = []
    for one in draft.payloads:
        changed += payloads if one.type == type else [one]
    return draft.but(payloads=tuple(changed))


@case("IKEPY.H.1.1", rfc="RFC 7296 3.1", group=GROUP)
async def headers_alone(peer: Peer) -> None:
    """Headers without payloads, of every exchange and with any flags, do no harm."""
    for exchange in (0, 1, 2, *range(34, 39), 43, 44, 240, 255):
        for flags in (0, 0x08, 0x20, 0x28, 0xFF):
            draft = _init(peer).but(exchange=exchange, flags=flags, payloads=())
            await peer.send(draft)
    await peer.pause(peer.limits.quiet_s)
    peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.1.2", rfc="RFC 7296 3.1", group=GROUP)
async def cut_everywhere(peer: Peer) -> None:
    """Every tenth beginning of an IKE_SA_INIT request gets no SA."""
    octets = _init(peer).encode()
    for size in range(1, len(octets), 10):
        piece = octets[:size]
        if size >= 28:  # its length is right, so that the payloads are looked at
            piece = piece[:_LENGTH] + struct.pack("!I", size) + piece[28:]
        await peer.send_octets(piece)
    await peer.pause(peer.limits.quiet_s)
    peer.check(
        not any(got.maybe(SaPayload) for got in peer.inbox), "no SA for a part of a request", peer.inbox
    )
    peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.1.3", rfc="RFC 7296 3.2", group=GROUP)
async def lengths_of_payloads(peer: Peer) -> None:
    """Payload lengths of 0, 3, one too few, one too many, 65535: each time in another payload."""
    for type in (PayloadType.SA, PayloadType.KE, PayloadType.NONCE):
        for wrong in (0, 3, -1, 1, 65535):
            draft = _init(peer)
            payload = next(one for one in draft.payloads if one.type == type)
            right = 4 + len(payload.encode())
            length = right + wrong if wrong in (-1, 1) else wrong
            await peer.send(_with(draft, type, raw(payload, length=length)))
    await peer.pause(peer.limits.quiet_s)
    peer.check(not any(got.maybe(SaPayload) for got in peer.inbox), "no SA", said(peer.inbox))
    peer.inbox.clear()
    await still_serves(peer)


_PROPOSALS: dict[str, bytes] = {
    "no proposal": b"",
    "no transforms": struct.pack("!BBHBBBB", 0, 0, 8, 1, 1, 0, 0),
    "a hundred transforms, of which there is one": struct.pack("!BBHBBBB", 0, 0, 8, 1, 1, 0, 100),
    "a length of 0": struct.pack("!BBHBBBB", 0, 0, 0, 1, 1, 0, 0),
    "a length beyond the payload": struct.pack("!BBHBBBB", 0, 0, 9000, 1, 1, 0, 1),
    "another one promised": struct.pack("!BBHBBBB", 2, 0, 8, 1, 1, 0, 0),
    "an SPI that is not there": struct.pack("!BBHBBBB", 0, 0, 8, 1, 1, 255, 0),
    "the protocol 0": struct.pack("!BBHBBBB", 0, 0, 8, 1, 0, 0, 0),
}


@case("IKEPY.H.1.4", rfc="RFC 7296 3.3", group=GROUP)
async def proposals(peer: Peer) -> None:
    """SA payloads that are none get no SA."""
    for body in _PROPOSALS.values():
        await peer.send(_with(_init(peer), PayloadType.SA, RawPayload(PayloadType.SA, body)))
    await peer.pause(peer.limits.quiet_s)
    peer.check(not any(got.maybe(SaPayload) for got in peer.inbox), "no SA", said(peer.inbox))
    peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.1.5", rfc="RFC 7296 2.7, 3.3.6", level="SHOULD", group=GROUP)
async def many_proposals(peer: Peer) -> None:
    """Forty proposals that nobody knows before a good one: the good one is taken."""
    sa = peer.new_sa()
    strange = [Proposal(n, ProtocolId.IKE, b"", (Transform(1, 60000 + n),)) for n in range(1, 41)]
    good = ike_proposal(peer.target.ike, 41)
    _, answer = await peer.ask_init(
        sa.init_request(proposals=[*strange, good], group=next(o.id for o in good.transforms if o.type == 4))
    )
    chosen = answer.maybe(SaPayload)
    peer.check(chosen is not None and chosen.proposals[0].number == 41, "proposal 41", answer)
    await still_serves(peer)


@case("IKEPY.H.1.6", rfc="RFC 6989 2.1, RFC 7296 3.4", group=GROUP)
async def public_values(peer: Peer) -> None:
    """Public values that are too short, too long or none get no IKE_SA."""
    right = next(one for one in _init(peer).payloads if isinstance(one, KePayload))
    for data in (right.data[:-1], right.data + b"\0", b""):
        draft = _with(_init(peer), PayloadType.KE, KePayload(right.group, data))
        await _refused(peer, draft, f"a public value of {len(data)} octets")


def _always(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda public: secret


@case("IKEPY.H.1.13", rfc="RFC 6989 2.1", group=GROUP)
async def public_values_without_secret(peer: Peer) -> None:
    """Public values of 0 and 1, by which anybody knows the secret, bring no IKE_SA up."""
    for value in (0, 1):
        sa = peer.new_sa()
        request = sa.init_request()
        right = next(one for one in request.payloads if isinstance(one, KePayload))
        known = value.to_bytes(len(right.data), "big")
        found = await _answers(peer, _with(request, PayloadType.KE, KePayload(right.group, known)))
        answer = next((got for got in found if got.maybe(SaPayload) is not None), None)
        if answer is None:
            continue
        # Some compute the secret only when IKE_AUTH comes: then that must not be answered.
        assert sa.begun is not None
        sa.begun = replace(sa.begun, derive=_always(known))
        sa.take_init_response(answer)
        auth = sa.auth_request(child=[] if is_childless(answer) else None)
        answered = [got for got in await _answers(peer, auth) if got.maybe(AuthPayload) is not None]
        peer.check(not answered, f"no IKE_SA by the public value {value}", said(answered))
    await still_serves(peer)


@case("IKEPY.H.1.7", rfc="RFC 7296 3.9, 2.10", group=GROUP)
async def nonces(peer: Peer) -> None:
    """Nonces of 0, 15 and 257 octets get no IKE_SA."""
    for size in (0, 15, 257):
        body = RawPayload(PayloadType.NONCE, bytes(size))
        await _refused(peer, _with(_init(peer), PayloadType.NONCE, body), f"a nonce of {size} octets")


@case("IKEPY.H.1.8", rfc="RFC 7296 2.5", group=GROUP)
async def unknown_payloads(peer: Peer) -> None:
    """Sixty unknown payloads that are not critical are passed over, or refused."""
    sa = peer.new_sa()
    extra = [UnknownPayload(_UNKNOWN + n % 5, False, bytes(4)) for n in range(60)]
    await peer.send(sa.init_request(extra=extra))
    await peer.pause(peer.limits.quiet_s)
    peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.1.9", rfc="RFC 7296 2.5", group=GROUP)
async def critical_payload(peer: Peer) -> None:
    """An unknown critical payload in IKE_SA_INIT: UNSUPPORTED_CRITICAL_PAYLOAD with its type."""
    sa = peer.new_sa()
    _, got = await peer.ask_init(sa.init_request(extra=[UnknownPayload(_UNKNOWN, True, b"")]))
    found = peer.check_notify(got, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)
    peer.check(found.data == bytes([_UNKNOWN]), f"the type {_UNKNOWN}", found.data.hex())


@case("IKEPY.H.1.10", rfc="RFC 7296 2.5", group=GROUP)
async def newer_versions(peer: Peer) -> None:
    """A higher major version gets INVALID_MAJOR_VERSION or nothing; a higher minor version is served."""
    for version in (0x30, 0xF0):
        draft = _init(peer).but(version=version)
        await _refused(peer, draft, f"version {version >> 4}", NotifyType.INVALID_MAJOR_VERSION)
    sa = peer.new_sa()
    _, got = await peer.ask_init(sa.init_request().but(version=0x2F))
    peer.check(got.maybe(SaPayload) is not None, "an SA for version 2.15", got)
    await still_serves(peer)


@case("IKEPY.H.1.11", rfc="RFC 7296 1.5", group=GROUP)
async def unknown_ike_sas(peer: Peer) -> None:
    """Protected requests of unknown IKE_SAs get INVALID_IKE_SPI, unprotected, or nothing; and never many."""
    for exchange in (ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL):
        sa = peer.new_sa()
        body = RawPayload(PayloadType.SK, os.urandom(64), following=0)
        draft = sa.request(exchange, [body], message_id=5).but(spi_r=os.urandom(8))
        await _refused(peer, draft, "a request of an unknown IKE_SA", NotifyType.INVALID_IKE_SPI)


@case("IKEPY.H.1.12", rfc="RFC 7296 2.6", group=GROUP)
async def the_same_spi_again(peer: Peer) -> None:
    """Another IKE_SA_INIT request under the SPI of one that is half-open does not change that one."""
    sa, answer = await begun(peer)
    other = with_nonce(sa.init_request(), os.urandom(32)).but(message_id=0)
    octets = sa.init_request_octets
    await peer.send_octets(other.encode())
    await peer.pause(peer.limits.quiet_s)
    peer.inbox.clear()
    sa.init_request_octets, sa.next_id = octets, 1
    request = sa.auth_request(child=[] if is_childless(answer) else None)
    got = await peer.ask(request)
    sa.check_auth(got)
    sa.established = True


def with_nonce(draft: Draft, nonce: bytes) -> Draft:
    """The same with another nonce."""
    return _with(draft, PayloadType.NONCE, NoncePayload(nonce))
