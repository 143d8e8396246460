"""IKEPY.9242 and IKEPY.9370: IKE_INTERMEDIATE, and further key exchanges in it (RFC 9242, RFC 9370)."""

from __future__ import annotations

import os
from dataclasses import replace

from ikepy.crypto.kex import registry
from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.secret import Secret
from ikepy.probe.draft import Draft
from ikepy.probe.extensions.common import (
    GROUP,
    announced,
    authenticated,
    is_childless,
    seen,
    still_serves,
    still_stands,
)
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.target import ike_proposal
from ikepy.probe.verdict import Failed, NotApplicable
from ikepy.sa.message import int_auth
from ikepy.sa.state.ike_keys import ike_sa_keys
from ikepy.wire.constants import ExchangeType, KeGroup, NotifyType, TransformType
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

_SUPPORTED = NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED
_ADDKE1 = TransformType.ADDKE1
METHOD = KeGroup.ML_KEM_768


def hybrid(peer: Peer, number: int = 1, method: int = METHOD) -> Proposal:
    """The target's suite with one further key exchange."""
    plain = ike_proposal(peer.target.ike, number)
    return replace(plain, transforms=(*plain.transforms, Transform(_ADDKE1, method)))


async def agreed(peer: Peer) -> tuple[IkeSa, Received, Proposal]:
    """After IKE_SA_INIT with ML-KEM-768 to come. NotApplicable if the peer does not accept that."""
    sa = peer.new_sa()
    offer = hybrid(peer)
    extra = [NotifyPayload(_SUPPORTED)]
    _, answer = await peer.ask_init(sa.init_request(proposals=[offer], extra=extra))
    if answer.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None:
        raise NotApplicable("the peer does not accept ML-KEM-768 as additional key exchange")
    sa.take_init_response(answer)
    peer.check_notify(answer, _SUPPORTED)
    chosen = answer.maybe(SaPayload)
    assert chosen is not None
    peer.check(
        [one.id for one in chosen.proposals[0].transforms if one.type == _ADDKE1] == [METHOD],
        "ADDKE1 ML-KEM-768 in the chosen proposal",
        answer,
    )
    return sa, answer, chosen.proposals[0]


async def intermediate(peer: Peer, sa: IkeSa, chosen: Proposal, *, method: int = METHOD) -> Received:
    """IKE_INTERMEDIATE with a public value; the keys change, and AUTH covers it from now on (RFC 9370
    2.2.2).
    """
    begun = registry.method(method).begin(os.urandom)()
    request = sa.request(ExchangeType.IKE_INTERMEDIATE, [KePayload(method, begun.public)])
    got = await peer.ask(request)
    ke = got.maybe(KePayload)
    if ke is None or ke.group != method:
        raise Failed(f"expected KE {method} in the IKE_INTERMEDIATE response; came {got}")
    _cover(sa, request, got)
    _extend(sa, chosen, begun.finish(ke.data))
    return got


def _cover(sa: IkeSa, request: Draft, got: Received) -> None:
    """What both messages add to AUTH, by the keys that protected them (RFC 9242 3.3.2)."""
    keys = sa.must_keys
    header = IkeHeader(request.spi_i, request.spi_r, request.exchange, request.flags, request.message_id)
    payloads: list[Payload] = [one for one in request.payloads if isinstance(one, KePayload)]
    sent = int_auth.of_sent(header, payloads)
    sa.int_auth = sa.int_auth.after(keys.suite.prf, keys.sk_p_local, sent, initiator=True)
    if got.opened is None:
        raise Failed(f"expected a protected IKE_INTERMEDIATE response; came {got}")
    came = int_auth.of_received(got.opened)
    sa.int_auth = sa.int_auth.after(keys.suite.prf, keys.sk_p_remote, came, initiator=False)


def _extend(sa: IkeSa, chosen: Proposal, secret: Secret) -> None:
    seed = Seed(sa.nonce_i, sa.nonce_r, sa.spi_i, sa.spi_r)
    sa.keys = ike_sa_keys(chosen, sa.must_keys.schedule.extended(secret, seed), sa.initiator)


# -- RFC 9242 ----------------------------------------------------------------------------------------------


@case("IKEPY.9242.1", rfc="RFC 9242 3.1", level="MAY", group=GROUP)
async def announces(peer: Peer) -> None:
    """INTERMEDIATE_EXCHANGE_SUPPORTED is answered by the same."""
    announced(await seen(peer, NotifyPayload(_SUPPORTED)), _SUPPORTED, "INTERMEDIATE_EXCHANGE_SUPPORTED")


@case("IKEPY.9242.2", rfc="RFC 9242 3.1", group=GROUP)
async def not_announced_unasked(peer: Peer) -> None:
    """Without our INTERMEDIATE_EXCHANGE_SUPPORTED, none comes back."""
    answer = await seen(peer)
    peer.check(answer.notify(_SUPPORTED) is None, "no INTERMEDIATE_EXCHANGE_SUPPORTED", answer)


@case("IKEPY.9242.3", rfc="RFC 9242 3.2, RFC 7296 2.21.2", group=GROUP)
async def unasked_intermediate(peer: Peer) -> None:
    """IKE_INTERMEDIATE that was not agreed on is refused or ignored, and leaves the peer able to serve."""
    sa = await peer.init()
    await peer.send(sa.request(ExchangeType.IKE_INTERMEDIATE, message_id=1))
    await peer.pause(peer.limits.quiet_s)
    answers = [got for got in peer.inbox if got.header.spi_i == sa.spi_i and got.header.message_id == 1]
    peer.check(
        all(got.error is not None for got in answers), "no answer, or an error", answers and answers[0]
    )
    await still_serves(peer)


@case("IKEPY.9242.4", rfc="RFC 9242 3.3.2", group=GROUP)
async def auth_covers_it(peer: Peer) -> None:
    """An AUTH that leaves IKE_INTERMEDIATE out is refused."""
    sa, answer, chosen = await agreed(peer)
    await intermediate(peer, sa, chosen)
    sa.int_auth = int_auth.IntAuth()
    got = await peer.ask(sa.auth_request(child=[] if is_childless(answer) else None))
    peer.check_notify(got, NotifyType.AUTHENTICATION_FAILED)


@case("IKEPY.9242.5", rfc="RFC 9242 3.2, RFC 7296 2.1", group=GROUP)
async def intermediate_again(peer: Peer) -> None:
    """The same IKE_INTERMEDIATE again gets the same answer."""
    sa, _, _ = await agreed(peer)
    begun = registry.method(METHOD).begin(os.urandom)()
    request = sa.request(ExchangeType.IKE_INTERMEDIATE, [KePayload(METHOD, begun.public)])
    octets = request.encode()
    fixed = request.but(spoil=lambda _: octets)
    first = await peer.ask(fixed)
    again = await peer.ask(fixed)
    peer.check(again.octets == first.octets, "the same octets", again)


# -- RFC 9370 ----------------------------------------------------------------------------------------------


@case("IKEPY.9370.1", rfc="RFC 9370 2.2.2", group=GROUP)
async def ml_kem(peer: Peer) -> None:
    """ML-KEM-768 in IKE_INTERMEDIATE after the classical key exchange: the IKE_SA stands."""
    sa, answer, chosen = await agreed(peer)
    await intermediate(peer, sa, chosen)
    await authenticated(peer, sa, childless=is_childless(answer))
    await still_stands(peer, sa)


@case("IKEPY.9370.2", rfc="RFC 9370 2.2.2", group=GROUP)
async def left_out(peer: Peer) -> None:
    """IKE_AUTH without the key exchange that was agreed on does not bring the IKE_SA up."""
    sa, answer, _ = await agreed(peer)
    request = sa.auth_request(child=[] if is_childless(answer) else None)
    await peer.send(request)
    await peer.pause(peer.limits.quiet_s)
    answers = [got for got in peer.inbox if got.header.spi_i == sa.spi_i and got.header.message_id == 1]
    peer.check(
        all(got.error is not None for got in answers), "no answer, or an error", answers and answers[0]
    )
    await still_serves(peer)


@case("IKEPY.9370.3", rfc="RFC 9370 2.2.2, 2.2.4", group=GROUP)
async def another_method(peer: Peer) -> None:
    """IKE_INTERMEDIATE with another method than the one agreed on is refused."""
    sa, _, _ = await agreed(peer)
    begun = registry.method(KeGroup.CURVE_25519).begin(os.urandom)()
    await peer.send(sa.request(ExchangeType.IKE_INTERMEDIATE, [KePayload(KeGroup.CURVE_25519, begun.public)]))
    await peer.pause(peer.limits.quiet_s)
    answers = [got for got in peer.inbox if got.header.spi_i == sa.spi_i and got.header.message_id == 1]
    peer.check(
        all(got.error is not None for got in answers), "no answer, or an error", answers and answers[0]
    )
    await still_serves(peer)


@case("IKEPY.9370.4", rfc="RFC 9370 2.2.1, RFC 7296 3.3.6", group=GROUP)
async def plain_alternative(peer: Peer) -> None:
    """Of a proposal with an additional key exchange and one without, a peer without RFC 9370 takes the
    second one.
    """
    sa = peer.new_sa()
    offers = [hybrid(peer, 1, method=1023), ike_proposal(peer.target.ike, 2)]
    _, answer = await peer.ask_init(sa.init_request(proposals=offers, extra=[NotifyPayload(_SUPPORTED)]))
    sa.take_init_response(answer)
    chosen = answer.maybe(SaPayload)
    assert chosen is not None
    peer.check(chosen.proposals[0].number == 2, "proposal 2", chosen.proposals[0].number)
    await authenticated(peer, sa, childless=is_childless(answer))


@case("IKEPY.9370.5", rfc="RFC 9370 2.2.1, RFC 7296 3.3.6", group=GROUP)
async def unknown_transform_type(peer: Peer) -> None:
    """A proposal with a transform type that nobody knows is passed over."""
    sa = peer.new_sa()
    plain = ike_proposal(peer.target.ike, 2)
    strange = replace(plain, number=1, transforms=(*plain.transforms, Transform(241, 1)))
    _, answer = await peer.ask_init(sa.init_request(proposals=[strange, plain]))
    sa.take_init_response(answer)
    chosen = answer.maybe(SaPayload)
    assert chosen is not None
    peer.check(chosen.proposals[0].number == 2, "proposal 2", chosen.proposals[0].number)
    await authenticated(peer, sa, childless=is_childless(answer))


@case("IKEPY.9370.6", rfc="RFC 9370 2.2.1", group=GROUP)
async def none_among_them(peer: Peer) -> None:
    """An additional key exchange that may be NONE: the IKE_SA comes up, with ML-KEM-768 or without."""
    sa = peer.new_sa()
    plain = ike_proposal(peer.target.ike)
    optional = (Transform(_ADDKE1, METHOD), Transform(_ADDKE1, KeGroup.NONE))
    offer = replace(plain, transforms=(*plain.transforms, *optional))
    _, answer = await peer.ask_init(sa.init_request(proposals=[offer], extra=[NotifyPayload(_SUPPORTED)]))
    if answer.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None:
        raise NotApplicable("the peer has no additional key exchanges")
    sa.take_init_response(answer)
    chosen = answer.maybe(SaPayload)
    assert chosen is not None
    methods = [one.id for one in chosen.proposals[0].transforms if one.type == _ADDKE1]
    peer.check(methods in ([METHOD], [KeGroup.NONE]), "one of both", methods)
    if methods == [METHOD]:
        await intermediate(peer, sa, chosen.proposals[0])
    await authenticated(peer, sa, childless=is_childless(answer))
    await still_stands(peer, sa)
