"""A peer of either role: set-up, children, rekeys, traffic, and messages that are wrong on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ikepy.probe.draft import Draft, RawPayload, flipped
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.verdict import Failed, Inconclusive, NotApplicable
from ikepy.wire.constants import ExchangeType, KeGroup, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import KePayload, NotifyPayload
from tests.unit.probe.two_peers import two_peers


async def established(initiator: Peer, responder: Peer) -> tuple[IkeSa, IkeSa]:
    """The IKE_SA as each end has it."""
    accepted = asyncio.create_task(responder.accept_all())
    sa = await initiator.establish()
    return sa, await accepted


def test_both_ends_agree_and_carry_echo_requests() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            assert (ours.spi_i, ours.spi_r) == (theirs.spi_i, theirs.spi_r)
            assert ours.child.spi_out == theirs.child.spi_in
            assert (await initiator.ping(ours.child)).child is ours.child
            assert (await responder.ping(theirs.child)).child is theirs.child

    asyncio.run(scenario())


def test_a_child_and_the_ike_sa_are_rekeyed() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            asked = asyncio.create_task(responder.expect_request(ExchangeType.CREATE_CHILD_SA, sa=theirs))
            request = ours.create_child_request(rekey=ours.child)
            answer = asyncio.create_task(initiator.ask(request))
            got = await asked
            draft = theirs.response(got, theirs.child_response_payloads(got))
            await responder.answer(theirs, got, draft)
            await initiator.ping(ours.take_create_child(await answer, request))

            rekeyed = asyncio.create_task(initiator.rekey_ike(ours))
            got = await responder.expect_request(ExchangeType.CREATE_CHILD_SA, sa=theirs)
            draft, new = theirs.rekey_response(got)
            responder.adopt(new)
            await responder.answer(theirs, got, draft)
            assert await initiator.alive(await rekeyed)

    asyncio.run(scenario())


def test_a_key_exchange_of_a_rekey_that_is_none_is_the_peers_failure() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            request, _ = ours.rekey_request()
            wrong = KePayload(KeGroup.CURVE_25519, bytes(31))
            await initiator.send(request.without(PayloadType.KE).with_payloads(wrong), ours)
            got = await responder.expect_request(ExchangeType.CREATE_CHILD_SA, sa=theirs)
            with pytest.raises(Failed, match="the peer's KE payload can't be used"):
                theirs.rekey_response(got)

    asyncio.run(scenario())


def test_deletes_are_answered_by_courtesy_alone() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            child, spi = ours.child, theirs.child.spi_in
            got = await initiator.ask(ours.delete(child))
            assert str(got) == "INFORMATIONAL response 2 SK [DELETE]"
            assert theirs.children == []
            assert got.payloads == (ours.delete_payload(child).__class__(ProtocolId.ESP, (spi,)),)
            theirs.courteous = False
            assert not await initiator.alive(ours)

    asyncio.run(scenario())


def test_a_liveness_check_may_be_answered_late() -> None:
    """A slow peer is no dead one."""

    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            theirs.courteous = False
            asking = asyncio.create_task(initiator.alive(ours))
            got = await responder.expect_request(ExchangeType.INFORMATIONAL, sa=theirs)
            await responder.pause(4 * initiator.limits.quiet_s)
            await responder.answer(theirs, got)
            assert await asking
            theirs.courteous = True

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (lambda draft: flipped(draft.encode()), "wrong integrity check value"),
        (lambda draft: draft.fragments(48)[0], "a fragment, which was not negotiated"),
    ],
)
def test_what_does_not_open_is_no_answer_and_said(octets: Callable[[Draft], bytes], told: str) -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            theirs.courteous = False
            asking = asyncio.create_task(initiator.ask(ours.informational(), within=1.0))
            got = await responder.expect_request(ExchangeType.INFORMATIONAL, sa=theirs)
            await responder.send_octets(octets(theirs.response(got)), got.port)
            with pytest.raises(Failed, match=told):
                await asking
            theirs.courteous = True

    asyncio.run(scenario())


def test_unknown_payloads_come_as_they_were_sent() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            unknown = RawPayload(200, b"abc", critical=True, reserved=5)
            await initiator.send(ours.informational(unknown), ours)
            got = await responder.expect_request(ExchangeType.INFORMATIONAL, sa=theirs)
            found = got.generic_of(200)
            assert found is not None
            assert (found.critical, found.reserved, found.body) == (True, 5, b"abc")

    asyncio.run(scenario())


def test_what_is_asked_again_is_answered_again_and_counted() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await established(initiator, responder)
            first = await initiator.ask(ours.informational())
            sent = initiator.last_sent
            await initiator.send_octets(sent, ours.port)
            second = await initiator.expect(lambda got: got.header.message_id == 2)
            assert first.octets == second.octets
            request = await responder.expect_request(ExchangeType.INFORMATIONAL, sa=theirs)
            assert request.copies == 1

    asyncio.run(scenario())


async def half_open(initiator: Peer, responder: Peer, *extra: NotifyPayload) -> tuple[IkeSa, IkeSa]:
    """After IKE_SA_INIT, with these payloads in both of its messages."""
    ours = initiator.new_sa()
    asking = asyncio.create_task(initiator.ask_init(ours.init_request(extra=extra)))
    theirs, init = await responder.accept()
    theirs.init_response_octets = await responder.answer(
        theirs, init, theirs.init_response(init, extra=extra)
    )
    ours.take_init_response((await asking)[1])
    return ours, theirs


FRAGMENTS = NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)


def test_fragments_are_put_together_in_both_roles_and_on_a_rekeyed_ike_sa() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await half_open(initiator, responder, FRAGMENTS)
            request = ours.auth_request()
            for piece in request.fragments(48)[::-1]:
                await initiator.send_octets(piece, ours.port)
            auth = await responder.expect_request(ExchangeType.IKE_AUTH, sa=theirs)
            theirs.check_auth(auth)
            pieces = theirs.auth_response(auth).fragments(48)
            for piece in [pieces[0], flipped(pieces[1]), *pieces]:
                await responder.send_octets(piece, auth.port)
            ours.take_auth_response(await initiator.expect(lambda got: got.payloads), request)
            theirs.port, theirs.established = auth.port, True
            await initiator.ping(ours.child)

            rekey, new = ours.rekey_request()
            initiator.adopt(new)
            asking = asyncio.create_task(initiator.ask(rekey))
            got = await responder.expect_request(ExchangeType.CREATE_CHILD_SA, sa=theirs)
            draft, renewed = theirs.rekey_response(got)
            responder.adopt(renewed)
            await responder.answer(theirs, got, draft)
            ours.take_rekey(await asking, new)
            for piece in new.informational(NotifyPayload(40000, bytes(90))).fragments(48):
                await initiator.send_octets(piece, new.port)
            await initiator.expect(lambda got: got.header.spi_i == new.spi_i and got.header.is_response)

    asyncio.run(scenario())


def test_the_first_fragment_of_a_request_alone_is_answered_again() -> None:
    """RFC 7383 2.6.1."""

    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            ours, theirs = await half_open(initiator, responder, FRAGMENTS)
            pieces = ours.auth_request().fragments(48)
            for piece in pieces:
                await initiator.send_octets(piece, ours.port)
            auth = await responder.expect_request(ExchangeType.IKE_AUTH, sa=theirs)
            await responder.answer_auth(theirs, auth)
            first = await initiator.expect(lambda got: got.header.message_id == 1)
            for piece in pieces[1:]:
                await initiator.send_octets(piece, ours.port)
            await initiator.expect_nothing(what="answer")
            await initiator.send_octets(pieces[0], ours.port)
            again = await initiator.expect(lambda got: got.header.message_id == 1)
            assert again.octets == first.octets
            assert auth.copies == 1
            ours.take_auth_response(again, ours.auth_request())

    asyncio.run(scenario())


def test_judgements() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, responder):
            _, theirs = await established(initiator, responder)
            with pytest.raises(Failed, match="expected a reply within 0 s; came nothing"):
                await initiator.expect(lambda _: False, within=0, what="a reply")
            await initiator.expect_nothing(what="request")
            theirs.courteous = False
            await responder.send(theirs.informational(NotifyPayload(NotifyType.INITIAL_CONTACT)), theirs)
            with pytest.raises(Failed, match=r"no request; came INFORMATIONAL request 0 SK \[N\(INITIAL_C"):
                await initiator.expect_nothing(what="request")
            assert [one.passed for one in initiator.trace.judgements] == [True, False]
            with pytest.raises(NotApplicable):
                initiator.as_identity("config")
            with pytest.raises(NotApplicable):
                await initiator.trigger("rekey-ike")
            theirs.courteous = True

    asyncio.run(scenario())


def test_a_case_sends_no_more_than_it_may() -> None:
    async def scenario() -> None:
        async with two_peers() as (initiator, _):
            initiator.trace.sent = initiator.limits.datagrams
            with pytest.raises(Inconclusive, match="its limit"):
                await initiator.send_octets(b"one more")

    asyncio.run(scenario())
