"""IKEPY.C: both ends rekey at once, and messages of it are lost, late or doubled (RFC 7296 2.8.1, 2.8.2,
2.25).

Something has to make the peer rekey (`--trigger`, `--lifetime`). Its request waits until ours is under way.
Our nonces decide who has the lowest of all four, and so whose new SA is redundant: an end deletes the one
that it made itself.
"""

from __future__ import annotations

from ikepy.probe.child import Child
from ikepy.probe.draft import Draft
from ikepy.probe.extensions.common import GROUP, established, still_stands
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.wire.constants import ExchangeType, ProtocolId
from ikepy.wire.payloads import DeletePayload, SaPayload

_LOWEST, _HIGHEST = bytes(32), b"\xff" * 32  # nonces


async def _asks(peer: Peer, sa: IkeSa, what: str) -> Received:
    """The peer's request to rekey the child or the IKE_SA, not answered yet."""
    wanted = ProtocolId.ESP if what == "rekey-child" else ProtocolId.IKE

    def rekeys(got: Received) -> bool:
        offered = got.maybe(SaPayload)
        return offered is not None and offered.proposals[0].protocol == wanted

    await peer.trigger(what)
    return await peer.expect_request(
        ExchangeType.CREATE_CHILD_SA, sa=sa, match=rekeys, within=peer.acts_within_s, what=f"its {what}"
    )


async def _deletes(peer: Peer, sa: IkeSa, child: Child | None, what: str) -> None:
    """The peer deletes a child, or the IKE_SA without one; our courtesy answers."""

    def match(got: Received) -> bool:
        deleted = got.all(DeletePayload)
        if child is None:
            return any(one.protocol == ProtocolId.IKE for one in deleted)
        return any(child.spi_out in one.spis for one in deleted)

    request = await peer.expect_request(
        ExchangeType.INFORMATIONAL, sa=sa, match=match, what=f"a delete of {what}"
    )
    peer.check(True, f"a delete of {what}", request)


async def _both_rekey_the_child(peer: Peer, ours: bytes, answer: bytes) -> tuple[IkeSa, Child, Child, Child]:
    """The IKE_SA, the old child, the one by our request (with the nonce `ours`), and the one by the peer's
    (which we answer with the nonce `answer`).
    """
    sa = await peer.establish()
    old = sa.child
    theirs = await _asks(peer, sa, "rekey-child")
    request = sa.create_child_request(rekey=old, nonce=ours)
    made_by_us = sa.take_create_child(await peer.ask(request), request)
    await peer.answer(sa, theirs, sa.response(theirs, sa.child_response_payloads(theirs, nonce=answer)))
    return sa, old, made_by_us, sa.children[-1]


@case("IKEPY.C.1", rfc="RFC 7296 2.8.1, 2.25.1", level="SHOULD", group=GROUP)
async def our_child_is_redundant(peer: Peer) -> None:
    """Both rekey the child, and our exchange has the lowest nonce: the peer deletes the old child, we the
    new one.
    """
    sa, old, ours, theirs = await _both_rekey_the_child(peer, _LOWEST, _HIGHEST)
    await peer.ask(sa.delete(ours))
    await _deletes(peer, sa, old, "the old child")
    await peer.ping(theirs)
    await still_stands(peer, sa)


@case("IKEPY.C.2", rfc="RFC 7296 2.8.1, 2.25.1", level="SHOULD", group=GROUP)
async def their_child_is_redundant(peer: Peer) -> None:
    """Both rekey the child, and the peer's exchange has the lowest nonce: it deletes the child that it
    made.
    """
    sa, old, ours, theirs = await _both_rekey_the_child(peer, _HIGHEST, _LOWEST)
    await peer.ask(sa.delete(old))
    await _deletes(peer, sa, theirs, "the redundant child")
    await peer.ping(ours)
    await still_stands(peer, sa)


@case("IKEPY.C.3", rfc="RFC 7296 2.8.1, 2.1", group=GROUP)
async def our_answer_is_lost(peer: Peer) -> None:
    """Our answer to the peer's rekey is lost: it asks again, and there is one new child."""
    sa = await peer.establish()
    old = sa.child
    theirs = await _asks(peer, sa, "rekey-child")
    again = await _again(peer, theirs)
    peer.check(again, "the request again, the same octets", "none")
    await peer.answer(sa, theirs, sa.response(theirs, sa.child_response_payloads(theirs)))
    await _deletes(peer, sa, old, "the old child")
    await peer.ping(sa.children[-1])


@case("IKEPY.C.4", rfc="RFC 7296 2.1", group=GROUP)
async def our_answer_comes_twice(peer: Peer) -> None:
    """Our answer to the peer's rekey comes twice: the second one is ignored."""
    sa = await peer.establish()
    old = sa.child
    theirs = await _asks(peer, sa, "rekey-child")
    octets = await peer.answer(sa, theirs, sa.response(theirs, sa.child_response_payloads(theirs)))
    await peer.send_octets(octets, theirs.port)
    await _deletes(peer, sa, old, "the old child")
    await peer.ping(sa.children[-1])
    await still_stands(peer, sa)


@case("IKEPY.C.5", rfc="RFC 7296 2.8.1", group=GROUP)
async def their_answer_is_lost(peer: Peer) -> None:
    """Both rekey the child, and the peer's answer to us comes again when we ask again."""
    sa = await peer.establish()
    old = sa.child
    theirs = await _asks(peer, sa, "rekey-child")
    request = _fixed(sa.create_child_request(rekey=old, nonce=_LOWEST))
    first = await peer.ask(request)
    again = await peer.ask(request)
    peer.check(again.octets == first.octets, "the same answer again", again)
    ours = sa.take_create_child(again, request)
    await peer.answer(sa, theirs, sa.response(theirs, sa.child_response_payloads(theirs, nonce=_HIGHEST)))
    made_by_them = sa.children[-1]
    await peer.ask(sa.delete(ours))
    await _deletes(peer, sa, old, "the old child")
    await peer.ping(made_by_them)


@case("IKEPY.C.6", rfc="RFC 7296 2.8", group=GROUP)
async def old_child_works_until_deleted(peer: Peer) -> None:
    """After a rekey of ours both children carry packets, until we delete the old one."""
    sa = await peer.establish()
    old = sa.child
    new = await peer.create_child(sa, rekey=old)
    await peer.ping(old, reply_by=[old, new])
    await peer.ping(new, reply_by=[old, new])
    await peer.ask(sa.delete(old))
    await peer.ping(new)


# -- IKE_SAs ------------------------------------------------------------------------------------------------


async def _both_rekey_the_ike_sa(peer: Peer, ours: bytes, answer: bytes) -> tuple[IkeSa, IkeSa, IkeSa]:
    """The old IKE_SA, the one by our request, and the one by the peer's."""
    sa = await established(peer)
    theirs = await _asks(peer, sa, "rekey-ike")
    request, made_by_us = sa.rekey_request(nonce=ours)
    peer.adopt(made_by_us)
    sa.take_rekey(await peer.ask(request), made_by_us)
    draft, made_by_them = sa.rekey_response(theirs, nonce=answer)
    peer.adopt(made_by_them)
    made_by_them.children = made_by_us.children
    await peer.answer(sa, theirs, draft)
    return sa, made_by_us, made_by_them


@case("IKEPY.C.10", rfc="RFC 7296 2.8.2, 2.25.2", level="SHOULD", group=GROUP)
async def our_ike_sa_is_redundant(peer: Peer) -> None:
    """Both rekey the IKE_SA, and our exchange has the lowest nonce: ours goes, and the peer deletes the
    old one.
    """
    old, ours, theirs = await _both_rekey_the_ike_sa(peer, _LOWEST, _HIGHEST)
    await peer.ask(ours.delete())
    ours.established = False
    await _deletes(peer, old, None, "the old IKE_SA")
    await still_stands(peer, theirs)


@case("IKEPY.C.11", rfc="RFC 7296 2.8.2, 2.25.2", level="SHOULD", group=GROUP)
async def their_ike_sa_is_redundant(peer: Peer) -> None:
    """Both rekey the IKE_SA, and the peer's exchange has the lowest nonce: it deletes the IKE_SA that it
    made.
    """
    old, ours, theirs = await _both_rekey_the_ike_sa(peer, _HIGHEST, _LOWEST)
    await peer.ask(old.delete())
    old.established = False
    await _deletes(peer, theirs, None, "the redundant IKE_SA")
    await still_stands(peer, ours)


@case("IKEPY.C.12", rfc="RFC 7296 2.8.2, 2.1", group=GROUP)
async def our_answer_to_the_ike_rekey_is_lost(peer: Peer) -> None:
    """Our answer to the peer's rekey of the IKE_SA is lost: it asks again, and there is one new IKE_SA."""
    sa = await established(peer)
    theirs = await _asks(peer, sa, "rekey-ike")
    again = await _again(peer, theirs)
    peer.check(again, "the request again, the same octets", "none")
    draft, new = sa.rekey_response(theirs)
    peer.adopt(new)
    await peer.answer(sa, theirs, draft)
    await _deletes(peer, sa, None, "the old IKE_SA")
    await still_stands(peer, new)


@case("IKEPY.C.13", rfc="RFC 7296 2.8.2", group=GROUP)
async def nothing_on_the_old_ike_sa(peer: Peer) -> None:
    """After a rekey of ours the old IKE_SA still answers its delete, and the new one has the child."""
    sa = await peer.establish()
    child = sa.child
    new = await peer.rekey_ike(sa)
    got = await peer.ask(sa.delete())
    sa.established = False
    peer.check(got.error is None, "no error", got)
    await peer.ping(child)
    await still_stands(peer, new)


def _fixed(draft: Draft) -> Draft:
    octets = draft.encode()
    return draft.but(spoil=lambda _: octets)


async def _again(peer: Peer, request: Received) -> bool:
    """Whether a request comes again that is not answered."""
    return await peer.repeated(request, copies=request.copies + 1, within=peer.limits.repeat_s)
