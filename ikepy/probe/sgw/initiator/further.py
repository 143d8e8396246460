"""SGW.I.1.2.5 to 1.2.7 and 2.1.1.2: a second CHILD_SA, rekeys of both ends at once, and an end node."""

from __future__ import annotations

from ikepy.probe.listen.cases import initiator_case
from ikepy.probe.listen.profile import COMMON
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.reserved import with_reserved
from ikepy.probe.sgw.initiator.formats import ENDPOINT
from ikepy.probe.sgw.initiator.rekeys import CHILDLESS
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import DeletePayload

NARROW = COMMON.but("two-children", narrow=True)
LOWEST, HIGHEST = bytes(16), b"\xff" * 32  # nonces: whose exchange has the lowest one loses (RFC 7296 2.8.1)


@initiator_case("SGW.I.1.2.5.1", rfc="RFC 7296 1.3.1", group="ADVANCED")
async def second_child(nut: UnderTest) -> None:
    """Create new CHILD_SA by sending CREATE_CHILD_SA request."""
    sa = await nut.sets_up(NARROW)
    request = await nut.makes_child(sa)
    nut.check_offered(request, nut.peer.target.esp)


@initiator_case("SGW.I.1.2.5.2", rfc="RFC 7296 1.3.1", group="ADVANCED")
async def second_child_used(nut: UnderTest) -> None:
    """Receipt of cryptographically valid message on the new SA."""
    first, _ = nut.peer.echo_hosts()
    second = nut.other_host()
    sa = await nut.sets_up(NARROW)
    child = sa.children[0]
    await nut.ping_from(first, child, answered=True)
    await nut.ping_from(second, child, answered=False)
    new = await nut.accept_rekey(sa, await nut.makes_child(sa))
    await nut.ping_from(first, child, answered=True)
    await nut.ping_from(second, new, answered=True)


@initiator_case("SGW.I.1.2.6.3", rfc="RFC 7296 2.8.1", level="SHOULD")
async def child_rekeys_cross(nut: UnderTest) -> None:
    """Simultaneous CHILD_SA rekeying.

    The specification wants the replaced SA to be deleted by the initiator under test; by the RFC that is left
    to who made the SA that stays: to us.
    """
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    await nut.peer.ping(sa.children[0])
    old, theirs = await nut.rekeys_child(sa)
    ours = sa.create_child_request(rekey=old, nonce=HIGHEST)
    answer = await nut.peer.ask(ours, what="a response to our own rekey of the child")
    winner = sa.take_create_child(answer, ours)
    loser = await nut.accept_rekey(sa, theirs, nut.child_response(sa, theirs, nonce=LOWEST))
    await nut.deletes(sa, loser)
    if old in sa.children:
        await nut.peer.ask(sa.delete(old), what="a response to our delete of the replaced child")
        sa.children.remove(old)
    await nut.peer.ping(winner)


@initiator_case("SGW.I.1.2.6.4", rfc="RFC 7296 2.8.1, 2.25.1", level="SHOULD")
async def child_rekey_late(nut: UnderTest) -> None:
    """Simultaneous CHILD_SA rekeying with retransmission.

    Its rekey is refused with NO_PROPOSAL_CHOSEN in the specification; CHILD_SA_NOT_FOUND is for that today.
    """
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    await nut.peer.ping(sa.children[0])
    old, theirs = await nut.rekeys_child(sa)
    ours = sa.create_child_request(rekey=old)
    answer = await nut.peer.ask(ours, what="a response to our own rekey of the child")
    new = sa.take_create_child(answer, ours)
    deleted = await nut.peer.ask(sa.delete(old), what="a response to our delete of the replaced child")
    spis = [spi for one in deleted.all(DeletePayload) for spi in one.spis]
    nut.peer.check(old.spi_out in spis, f"a Delete payload with its SPI {old.spi_out.hex()}", deleted)
    await nut.repeats(theirs, "its rekey of the child")
    await nut.refuse(sa, theirs, NotifyType.CHILD_SA_NOT_FOUND)
    await nut.peer.ping(new)


@initiator_case("SGW.I.1.2.6.5", rfc="RFC 7296 2.8.2", level="SHOULD")
async def ike_rekeys_cross(nut: UnderTest) -> None:
    """Simultaneous IKE_SA rekeying.

    Who deletes the replaced IKE_SA: as with SGW.I.1.2.6.3.
    """
    sa = await nut.sets_up(CHILDLESS)
    theirs = await nut.rekeys_ike(sa)
    ours, winner = sa.rekey_request(nonce=HIGHEST)
    nut.peer.adopt(winner)
    answer = await nut.peer.ask(ours, what="a response to our own rekey of the IKE_SA")
    sa.take_rekey(answer, winner)
    loser = await nut.accept_ike_rekey(sa, theirs, nonce=LOWEST)
    await nut.deletes(loser, None)
    if sa.established:
        await nut.peer.ask(sa.delete(), what="a response to our delete of the replaced IKE_SA")
        sa.established = False
    await nut.answers(winner, "on the new IKE_SA")


@initiator_case("SGW.I.1.2.6.6", rfc="RFC 7296 2.8.2, 2.25.2", level="SHOULD")
async def ike_rekey_late(nut: UnderTest) -> None:
    """Simultaneous IKE_SA rekeying with retransmission."""
    sa = await nut.sets_up(CHILDLESS)
    theirs = await nut.rekeys_ike(sa)
    interval = await nut.repeats(theirs, "its rekey of the IKE_SA")
    new = await nut.peer.rekey_ike(sa)
    await nut.peer.ask(sa.delete(), what="a response to our delete of the replaced IKE_SA")
    sa.established = False
    await nut.stops(theirs, interval, "rekey of the IKE_SA that is gone")
    await nut.answers(new, "on the new IKE_SA")


@initiator_case("SGW.I.1.2.7.1", rfc="RFC 7296 2.5")
async def reserved_in_rekey(nut: UnderTest) -> None:
    """Non-zero RESERVED fields in CREATE_CHILD_SA response."""
    sa = await nut.sets_up()
    old, request = await nut.rekeys_child(sa)
    await nut.accept_rekey(sa, request, with_reserved(nut.child_response(sa, request)))
    await nut.deletes(sa, old)


@initiator_case("SGW.I.2.1.1.2", rfc="RFC 7296 1.2")
async def end_node(nut: UnderTest) -> None:
    """Use of CHILD_SA by an end node."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up(ENDPOINT)
    await nut.ping_from(nut.peer.target.local, sa.children[0], answered=True)
