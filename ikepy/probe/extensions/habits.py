"""IKEPY.7296: what every message and every SA is held to, and no other case looks at."""

from __future__ import annotations

from collections import Counter

from ikepy.probe.child import Child, echo_request
from ikepy.probe.extensions.common import GROUP
from ikepy.probe.inbox import EspPacket
from ikepy.probe.listen.cases import initiator_case
from ikepy.probe.listen.profile import COMMON, Lifetimes
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.target import selector
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType

CHILD_ENDS_SOON = COMMON.but("child-ends", child=Lifetimes(1, 3))
_ONCE = {
    PayloadType.SA: "SA",
    PayloadType.KE: "KE",
    PayloadType.NONCE: "Nonce",
    PayloadType.ID_R: "IDr",
    PayloadType.AUTH: "AUTH",
    PayloadType.TS_I: "TSi",
    PayloadType.TS_R: "TSr",
}


def _check_once(peer: Peer, got: Received) -> None:
    found = Counter(one.type for one in (*got.generic, *got.inner))
    for type, name in _ONCE.items():
        peer.check(found[type] <= 1, f"at most one {name} payload", got)


@case("IKEPY.7296.1", rfc="RFC 7296 1.2", group=GROUP)
async def once(peer: Peer) -> None:
    """Payloads that stand once in a message stand there once: IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA."""
    sa = peer.new_sa()
    _, init = await peer.ask_init(sa.init_request())
    _check_once(peer, init)
    sa.take_init_response(init)
    request = sa.auth_request()
    auth = await peer.ask(request, what="an IKE_AUTH response")
    _check_once(peer, auth)
    child = sa.take_auth_response(auth, request)
    request = sa.create_child_request(rekey=child)
    rekey = await peer.ask(request, what="a CREATE_CHILD_SA response")
    _check_once(peer, rekey)
    sa.take_create_child(rekey, request)


@case("IKEPY.7296.2", rfc="RFC 7296 2.9.2", group=GROUP)
async def selectors_stay(peer: Peer) -> None:
    """A rekeyed child has the selectors of the one before: they are not narrowed anew."""
    sa = await peer.init()
    request = sa.auth_request(child=sa.child_payloads())
    old = sa.take_auth_response(await peer.ask(request, what="an IKE_AUTH response"), request)
    new = await peer.create_child(sa, rekey=old)
    for name, before, after in (
        ("TSi", old.ts_local, new.ts_local),
        ("TSr", old.ts_remote, new.ts_remote),
    ):
        peer.check(set(after) == set(before), f"{name} as before", after)


@case("IKEPY.7296.3", rfc="RFC 4301 5.2, RFC 7296 2.9", group=GROUP)
async def own_selectors(peer: Peer) -> None:
    """A packet outside of a child's selectors is dropped, also if another child would permit it."""
    source, destination = peer.echo_hosts()
    other = source + 1
    sa = await peer.init()
    request = sa.auth_request(child=sa.child_payloads(ts_i=[selector(source)]))
    first = sa.take_auth_response(await peer.ask(request, what="an IKE_AUTH response"), request)
    request = sa.create_child_request(child=sa.child_payloads(ts_i=[selector(other)]))
    got = await peer.ask(request, what="a CREATE_CHILD_SA response")
    peer.lacking(got, "a further CHILD_SA", NotifyType.NO_ADDITIONAL_SAS, NotifyType.NO_PROPOSAL_CHOSEN)
    second = sa.take_create_child(got, request)
    await peer.ping(first, source=source)
    await peer.ping(second, source=other)
    await _unanswered(peer, first, echo_request(other, destination, 0x7296, 1))


async def _unanswered(peer: Peer, child: Child, packet: bytes) -> None:
    def reply(got: EspPacket) -> bool:
        return got.inner is not None and got.inner.is_reply and got.inner.identifier == 0x7296

    await peer.send_esp(child.seal(packet))
    await peer.no_esp(reply, what="reply to a packet outside of the selectors")


@initiator_case("IKEPY.7296.4", rfc="RFC 7296 2.8", level="SHOULD", group=GROUP)
async def rekeys_in_time(nut: UnderTest) -> None:
    """The initiator rekeys a child by itself before its lifetime is over."""
    sa = await nut.sets_up(CHILD_ENDS_SOON)
    request = await nut.peer.expect_request(
        ExchangeType.CREATE_CHILD_SA,
        sa=sa,
        match=lambda got: got.notify(NotifyType.REKEY_SA),
        within=nut.patience_s + nut.lifetime_s,
        what="a request that rekeys the child",
    )
    await nut.accept_rekey(sa, request)
