"""IKEPY.H.2: what somebody sends who has keys, or credentials. It may cost that IKE_SA, and never the
peer.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import replace

from ikepy.probe.draft import AnyPayload, RawPayload
from ikepy.probe.extensions.common import (
    GROUP,
    begun,
    established,
    is_childless,
    said,
    still_serves,
    still_stands,
)
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.target import esp_proposal, ike_proposal
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import (
    AuthPayload,
    DeletePayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    SaPayload,
    UnknownPayload,
)


async def _once(peer: Peer, sa: IkeSa, exchange: int, payloads: Sequence[AnyPayload]) -> list[Received]:
    """Send a request once, wait, and give the answers that are no errors."""
    draft = sa.request(exchange, payloads)
    await peer.send(draft)
    await peer.pause(peer.limits.quiet_s)
    answers = [
        got for got in peer.inbox if got.header.is_response and got.header.message_id == draft.message_id
    ]
    peer.inbox.clear()
    for got in answers:
        if got.problem:
            peer.check(False, "an answer that can be read", got)
    return [got for got in answers if got.error is None]


# -- before authentication ----------------------------------------------------------------------------------


@case("IKEPY.H.2.1", rfc="RFC 7296 2.15, 2.21.2", level="SHOULD", group=GROUP)
async def wrong_auth(peer: Peer) -> None:
    """A wrong AUTH gets AUTHENTICATION_FAILED, and neither IDr nor AUTH of the peer."""
    sa, init = await begun(peer)
    request = sa.auth_request(child=[] if is_childless(init) else None)
    size = len(sa.auth_payload().data)
    payloads = [
        AuthPayload(one.method, os.urandom(size)) if isinstance(one, AuthPayload) else one
        for one in request.payloads
    ]
    got = await peer.ask(request.but(payloads=tuple(payloads)))
    peer.check_notify(got, NotifyType.AUTHENTICATION_FAILED)
    peer.check(got.maybe(AuthPayload) is None, "no AUTH", got)
    await still_serves(peer)


@case("IKEPY.H.2.2", rfc="RFC 7296 2.15, 2.21.2", level="SHOULD", group=GROUP)
async def unknown_identity(peer: Peer) -> None:
    """An identity that nobody has hears what a wrong AUTH hears."""
    sa, init = await begun(peer)
    request = sa.auth_request(child=[] if is_childless(init) else None)
    nobody = IdPayload(PayloadType.ID_I, 2, b"nobody.ikepy.invalid")
    payloads = [nobody if one.type == PayloadType.ID_I else one for one in request.payloads]
    payloads = [sa.auth_payload(nobody) if isinstance(one, AuthPayload) else one for one in payloads]
    got = await peer.ask(request.but(payloads=tuple(payloads)))
    peer.check_notify(got, NotifyType.AUTHENTICATION_FAILED)
    await still_serves(peer)


@case("IKEPY.H.2.3", rfc="RFC 7296 1.2", group=GROUP)
async def before_auth(peer: Peer) -> None:
    """CREATE_CHILD_SA and INFORMATIONAL in the place of IKE_AUTH bring nothing."""
    for exchange in (ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL):
        sa, _ = await begun(peer)
        payloads: list[AnyPayload] = []
        if exchange == ExchangeType.CREATE_CHILD_SA:
            payloads = [*sa.child_payloads(), NoncePayload(os.urandom(32))]
        await peer.send(sa.request(exchange, payloads))
        await peer.pause(peer.limits.quiet_s)
        served = [got for got in peer.inbox if got.maybe(SaPayload) is not None]
        peer.check(not served, "no SA before authentication", said(served))
        peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.2.4", rfc="RFC 7296 3.5", group=GROUP)
async def large_identity(peer: Peer) -> None:
    """An identity of 8000 octets fails to authenticate, and does no harm."""
    sa, init = await begun(peer)
    request = sa.auth_request(child=[] if is_childless(init) else None)
    large = IdPayload(PayloadType.ID_I, 11, os.urandom(8000))
    payloads = [large if one.type == PayloadType.ID_I else one for one in request.payloads]
    await peer.send(request.but(payloads=tuple(payloads)))
    await peer.pause(peer.limits.quiet_s)
    answers = [got for got in peer.inbox if got.header.message_id == 1 and got.header.is_response]
    peer.check(all(got.error is not None for got in answers), "no answer, or an error", said(answers))
    peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.2.5", rfc="RFC 7296 3.14, 2.21.2", group=GROUP)
async def junk_inside(peer: Peer) -> None:
    """Junk inside a well protected IKE_AUTH gets an error or nothing."""
    for plaintext in ((PayloadType.ID_I, b"\xff" * 40), (PayloadType.NOTIFY, b"\0" * 3), (0, os.urandom(64))):
        sa, _ = await begun(peer)
        request = sa.request(ExchangeType.IKE_AUTH)
        await peer.send(request.but(plaintext=plaintext))
        await peer.pause(peer.limits.quiet_s)
        answers = [got for got in peer.inbox if got.header.message_id == 1 and got.header.is_response]
        peer.check(all(got.error is not None for got in answers), "no answer, or an error", said(answers))
        peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.2.6", rfc="RFC 7296 2.5", group=GROUP)
async def critical_in_auth(peer: Peer) -> None:
    """An unknown critical payload in IKE_AUTH: UNSUPPORTED_CRITICAL_PAYLOAD with its type."""
    sa, init = await begun(peer)
    request = sa.auth_request(
        extra=[UnknownPayload(200, True, b"")], child=[] if is_childless(init) else None
    )
    got = await peer.ask(request)
    found = peer.check_notify(got, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)
    peer.check(found.data == bytes([200]), "the type 200", found.data.hex())


# -- after it ------------------------------------------------------------------------------------------------


@case("IKEPY.H.2.20", rfc="RFC 7296 1.2", group=GROUP)
async def auth_again(peer: Peer) -> None:
    """Another IKE_AUTH on an established IKE_SA brings nothing."""
    sa = await established(peer)
    served = await _once(peer, sa, ExchangeType.IKE_AUTH, [sa.id_payload(), sa.auth_payload()])
    peer.check(not served, "no answer, or an error", said(served))
    await still_serves(peer)


@case("IKEPY.H.2.21", rfc="RFC 7296 2.5, 2.21.3", group=GROUP)
async def critical_in_informational(peer: Peer) -> None:
    """An unknown critical payload in INFORMATIONAL: UNSUPPORTED_CRITICAL_PAYLOAD, and the IKE_SA stands."""
    sa = await established(peer)
    got = await peer.ask(sa.informational(UnknownPayload(200, True, b"")))
    found = peer.check_notify(got, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)
    peer.check(found.data == bytes([200]), "the type 200", found.data.hex())
    await still_stands(peer, sa)


@case("IKEPY.H.2.22", rfc="RFC 7296 2.5", group=GROUP)
async def unknown_in_informational(peer: Peer) -> None:
    """Unknown payloads and status notifies in INFORMATIONAL are ignored."""
    sa = await established(peer)
    unknown: list[AnyPayload] = [UnknownPayload(201, False, b"x" * 10), NotifyPayload(40000, b"y" * 10)]
    got = await peer.ask(sa.informational(*unknown))
    peer.check(got.error is None, "no error", got)
    await still_stands(peer, sa)


@case("IKEPY.H.2.23", rfc="RFC 7296 3.10.1", group=GROUP)
async def unknown_error(peer: Peer) -> None:
    """An unknown error in an INFORMATIONAL request is ignored; the IKE_SA stands."""
    sa = await established(peer)
    await peer.ask(sa.informational(NotifyPayload(8000)))
    await still_stands(peer, sa)


@case("IKEPY.H.2.24", rfc="RFC 7296 1.4.1, 2.25.1", level="SHOULD", group=GROUP)
async def deletes_of_nothing(peer: Peer) -> None:
    """Deletes of children that there are not: answered without an error, and the IKE_SA stands."""
    sa = await established(peer)
    spis = tuple(struct.pack("!I", 0x10000000 + n) for n in range(20))
    got = await peer.ask(sa.informational(DeletePayload(ProtocolId.ESP, spis)))
    peer.check(got.error is None, "no error", got)
    await still_stands(peer, sa)


@case("IKEPY.H.2.25", rfc="RFC 7296 1.3.3, 2.25.1", level="SHOULD", group=GROUP)
async def rekey_of_nothing(peer: Peer) -> None:
    """A rekey of a child that there is not: CHILD_SA_NOT_FOUND with its SPI, and the IKE_SA stands."""
    sa = await established(peer)
    spi = b"\x12\x34\x56\x78"
    notify = NotifyPayload(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=spi)
    got = await peer.ask(sa.create_child_request(extra=[notify]))
    found = peer.check_notify(got, NotifyType.CHILD_SA_NOT_FOUND)
    peer.check(found.spi == spi, f"the SPI {spi.hex()}", found.spi.hex())
    await still_stands(peer, sa)


@case("IKEPY.H.2.26", rfc="RFC 7296 3.3.1, RFC 4303 2.1", group=GROUP)
async def child_spis(peer: Peer) -> None:
    """SPIs of a child that can't be (0, 3 and 8 octets, none): no child by them, and no harm."""
    sa = await established(peer)
    for spi in (bytes(4), b"\1\2\3", b"\1\2\3\4\5\6\7\x08", b""):
        offer = [SaPayload((esp_proposal(peer.target.esp, spi),)), *sa.child_payloads()[1:]]
        served = await _once(
            peer, sa, ExchangeType.CREATE_CHILD_SA, [offer[0], NoncePayload(os.urandom(32)), *offer[1:]]
        )
        peer.check(not served, f"no child with SPI {spi.hex() or 'none'}", said(served))
        if not await peer.alive(sa):
            sa = await established(peer)
    await still_serves(peer)


@case("IKEPY.H.2.27", rfc="RFC 7296 1.3.2, 3.3.1", group=GROUP)
async def ike_spis(peer: Peer) -> None:
    """SPIs of a new IKE_SA that can't be (0, 4 octets, none): no rekey by them, and no harm."""
    for spi in (bytes(8), b"\1\2\3\4", b""):
        sa = await established(peer)
        request, _ = sa.rekey_request()
        offer = SaPayload((ike_proposal(peer.target.ike, spi=spi),))
        payloads = [offer if isinstance(one, SaPayload) else one for one in request.payloads]
        await peer.send(request.but(payloads=tuple(payloads)))
        await peer.pause(peer.limits.quiet_s)
        served = [got for got in peer.inbox if got.maybe(SaPayload) is not None]
        peer.check(not served, f"no IKE_SA with SPI {spi.hex() or 'none'}", said(served))
        peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.2.28", rfc="RFC 7296 1.3.2, RFC 6989 2.5", group=GROUP)
async def rekey_public_values(peer: Peer) -> None:
    """A rekey of the IKE_SA with a public value of 0 or of the wrong length: refused."""
    for change in (lambda data: bytes(len(data)), lambda data: data[:-1], lambda data: b""):
        sa = await established(peer)
        request, _ = sa.rekey_request()
        payloads = [
            KePayload(one.group, change(one.data)) if isinstance(one, KePayload) else one
            for one in request.payloads
        ]
        await peer.send(request.but(payloads=tuple(payloads)))
        await peer.pause(peer.limits.quiet_s)
        served = [got for got in peer.inbox if got.maybe(SaPayload) is not None]
        peer.check(not served, "no IKE_SA by that public value", said(served))
        peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.2.29", rfc="RFC 7296 3.2, 2.21.3", group=GROUP)
async def junk_after_auth(peer: Peer) -> None:
    """Junk inside a well protected INFORMATIONAL gets INVALID_SYNTAX or nothing."""
    for first, octets in ((PayloadType.DELETE, b"\xff" * 12), (PayloadType.NOTIFY, b"\0" * 3)):
        sa = await established(peer)
        draft = sa.informational()
        await peer.send(draft.but(plaintext=(first, octets)))
        await peer.pause(peer.limits.quiet_s)
        answers = [
            got for got in peer.inbox if got.header.is_response and got.header.message_id == draft.message_id
        ]
        peer.check(all(got.error is not None for got in answers), "no answer, or an error", said(answers))
        peer.inbox.clear()
    await still_serves(peer)


@case("IKEPY.H.2.30", rfc="RFC 7296 3.13", group=GROUP)
async def selectors(peer: Peer) -> None:
    """Traffic selectors that are none: backwards, of an unknown type, cut, none at all. No child, no harm."""
    bodies = (
        struct.pack("!B3x", 1)
        + struct.pack("!BBHHH4s4s", 7, 0, 16, 0, 65535, b"\x0a\0\0\xff", b"\x0a\0\0\0"),
        struct.pack("!B3x", 1) + struct.pack("!BBHHH4s4s", 77, 0, 16, 0, 65535, bytes(4), b"\xff" * 4),
        struct.pack("!B3x", 5) + struct.pack("!BBHHH4s4s", 7, 0, 16, 0, 65535, bytes(4), b"\xff" * 4),
        struct.pack("!B3x", 0),
    )
    for body in bodies:
        sa = await established(peer)
        offered, *_ = sa.child_payloads()
        served = await _once(
            peer,
            sa,
            ExchangeType.CREATE_CHILD_SA,
            [
                offered,
                NoncePayload(os.urandom(32)),
                RawPayload(PayloadType.TS_I, body),
                RawPayload(PayloadType.TS_R, body),
            ],
        )
        peer.check(not served, "no child by these selectors", said(served))
    await still_serves(peer)


@case("IKEPY.H.2.31", rfc="RFC 7296 2.9, 3.3.6", group=GROUP)
async def proposal_of_another_protocol(peer: Peer) -> None:
    """A child by a proposal of an unknown protocol: NO_PROPOSAL_CHOSEN or another error; the IKE_SA
    stands.
    """
    sa = await established(peer)
    offer, *rest = sa.child_payloads()
    assert isinstance(offer, SaPayload)
    strange = SaPayload((replace(offer.proposals[0], protocol=200),))
    got = await peer.ask(
        sa.request(ExchangeType.CREATE_CHILD_SA, [strange, NoncePayload(os.urandom(32)), *rest])
    )
    peer.check(got.error is not None, "an error", got)
    await still_stands(peer, sa)


@case("IKEPY.H.2.32", rfc="RFC 7296 2.4", group=GROUP)
async def many_ike_sas(peer: Peer) -> None:
    """Ten IKE_SAs one behind the other, each deleted: the last is served as the first."""
    for _ in range(10):
        sa = await established(peer)
        await peer.ask(sa.delete())
        sa.established = False
    await still_serves(peer)
