"""SGW.I.1.1.1 to 1.1.3: the initial exchanges, their retransmission, and what must not end an IKE_SA."""

from __future__ import annotations

import os

from ikepy.probe.listen.cases import initiator_case
from ikepy.probe.listen.profile import COMMON, Lifetimes
from ikepy.probe.listen.under_test import UnderTest
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import NotifyPayload

ENDS_SOON = COMMON.but("ike-ends", ike_sa=Lifetimes(1, 3), needs_child=False)


@initiator_case("SGW.I.1.1.1.3", rfc="RFC 7296 1.2")
async def use_of_child(nut: UnderTest) -> None:
    """Use of CHILD_SA."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    await nut.peer.ping(sa.children[0])


@initiator_case("SGW.I.1.1.2.1", rfc="RFC 7296 2.1")
async def init_repeated(nut: UnderTest) -> None:
    """Retransmissions of IKE_SA_INIT requests."""
    _, init = await nut.begins()
    await nut.repeats(init, "the IKE_SA_INIT request")


@initiator_case("SGW.I.1.1.2.2", rfc="RFC 7296 2.1")
async def init_stopped(nut: UnderTest) -> None:
    """Stop of retransmission of IKE_SA_INIT requests."""
    sa, init = await nut.begins()
    interval = await nut.repeats(init, "the IKE_SA_INIT request")
    await nut.authenticates(sa, init)
    await nut.stops(init, interval, "IKE_SA_INIT request")


@initiator_case("SGW.I.1.1.2.3", rfc="RFC 7296 2.1")
async def auth_repeated(nut: UnderTest) -> None:
    """Retransmissions of IKE_AUTH requests."""
    auth = await nut.authenticates(*await nut.begins())
    await nut.repeats(auth, "the IKE_AUTH request")


@initiator_case("SGW.I.1.1.2.4", rfc="RFC 7296 2.1")
async def auth_stopped(nut: UnderTest) -> None:
    """Stop of retransmission of IKE_AUTH requests."""
    sa, init = await nut.begins()
    auth = await nut.authenticates(sa, init)
    interval = await nut.repeats(auth, "the IKE_AUTH request")
    await nut.answer_auth(sa, auth)
    await nut.stops(auth, interval, "IKE_AUTH request")


@initiator_case("SGW.I.1.1.3.1", rfc="RFC 7296 2.4")
async def icmp_ends_nothing(nut: UnderTest) -> None:
    """State synchronization with ICMP messages."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    await nut.peer.ping(sa.children[0])
    await nut.peer.send_unreachable(sa.children[0])
    await nut.peer.ping(sa.children[0])


@initiator_case("SGW.I.1.1.3.2", rfc="RFC 7296 2.4")
async def unprotected_ends_nothing(nut: UnderTest) -> None:
    """State synchronization with IKE messages."""
    nut.peer.echo_hosts()
    sa = await nut.sets_up()
    await nut.peer.ping(sa.children[0])
    forged = NotifyPayload(NotifyType.INVALID_SPI, os.urandom(4), ProtocolId.ESP)
    await nut.peer.send(sa.request(ExchangeType.INFORMATIONAL, [forged], message_id=sa.next_id).in_clear())
    await nut.peer.ping(sa.children[0])


@initiator_case("SGW.I.1.1.3.3", rfc="RFC 7296 2.4")
async def auth_given_up(nut: UnderTest) -> None:
    """Close connections when repeated attempts fail."""
    auth = await nut.authenticates(*await nut.begins())
    interval = await nut.repeats(auth, "the IKE_AUTH request")
    await nut.gives_up(auth, interval, "the IKE_AUTH request")


@initiator_case("SGW.I.1.1.3.6", rfc="RFC 7296 1.4.1")
async def ike_sa_deleted(nut: UnderTest) -> None:
    """Sending Delete payload for IKE_SA.

    Rekeys are refused, so that its lifetime ends.
    """
    sa = await nut.sets_up(ENDS_SOON)
    async with nut.refusing_rekeys(sa):
        await nut.deletes(sa, None, within=nut.patience_s + nut.lifetime_s)
