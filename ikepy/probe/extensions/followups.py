"""IKEPY.9370: further key exchanges of a rekey, in IKE_FOLLOWUP_KE (RFC 9370 2.2.4)."""

from __future__ import annotations

import os

from ikepy.crypto.kex import registry
from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.secret import Secret
from ikepy.probe.draft import Draft
from ikepy.probe.extensions.common import GROUP, authenticated, is_childless, still_stands
from ikepy.probe.extensions.hybrid import METHOD, agreed, hybrid, intermediate
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.sa.state.ike_keys import ike_sa_keys, suite_of
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, SaPayload
from ikepy.wire.proposal import Proposal

_LINK = NotifyType.ADDITIONAL_KEY_EXCHANGE


async def _established(peer: Peer) -> IkeSa:
    """With ML-KEM-768 beside the classical key exchange. NotApplicable if the peer does not accept that."""
    sa, answer, chosen = await agreed(peer)
    await intermediate(peer, sa, chosen)
    await authenticated(peer, sa, childless=is_childless(answer))
    return sa


async def _half_rekeyed(peer: Peer, sa: IkeSa) -> tuple[IkeSa, Proposal, Secret, NotifyPayload]:
    """The new IKE_SA without keys, what was chosen, the classical secret, and the link to IKE_FOLLOWUP_KE."""
    request, new = sa.rekey_request(proposals=[hybrid(peer)])
    got = await peer.ask(request, what="a response to the rekey of the IKE_SA")
    offer, ke, nonce = got.maybe(SaPayload), got.maybe(KePayload), got.maybe(NoncePayload)
    peer.check(offer is not None and ke is not None and nonce is not None, "SA, nonce and KE", got)
    assert offer is not None
    assert ke is not None
    assert nonce is not None
    assert new.begun is not None
    link = peer.check_notify(got, _LINK)
    (chosen,) = offer.proposals
    new.nonce_r, new.spi_r = nonce.data, chosen.spi
    return new, chosen, new.begun.finish(ke.data), link


def _followup(sa: IkeSa, public: bytes, link: bytes) -> Draft:
    payloads = (KePayload(METHOD, public), NotifyPayload(_LINK, link))
    return sa.request(ExchangeType.IKE_FOLLOWUP_KE, payloads)


def _check_last(peer: Peer, got: Received) -> KePayload:
    """A response that ends the key exchanges."""
    ke = got.maybe(KePayload)
    peer.check(ke is not None and ke.group == METHOD, f"KE {METHOD}", got)
    peer.check(got.notify(_LINK) is None, "no further ADDITIONAL_KEY_EXCHANGE", got)
    assert ke is not None
    return ke


@case("IKEPY.9370.7", rfc="RFC 9370 2.2.4", group=GROUP)
async def rekey_of_the_ike_sa(peer: Peer) -> None:
    """A rekey of the IKE_SA with ML-KEM-768 in IKE_FOLLOWUP_KE: the new one has keys by both."""
    sa = await _established(peer)
    new, chosen, classical, link = await _half_rekeyed(peer, sa)
    begun = registry.method(METHOD).begin(os.urandom)()
    ke = _check_last(peer, await peer.ask(_followup(sa, begun.public, link.data)))
    seed = Seed(new.nonce_i, new.nonce_r, new.spi_i, new.spi_r)
    secrets = [classical, begun.finish(ke.data)]
    schedule = sa.must_keys.schedule.rekeyed(suite_of(chosen), secrets, seed)
    new.keys = ike_sa_keys(chosen, schedule, new.initiator)
    new.established = True
    peer.adopt(new)
    await peer.ask(sa.delete())
    sa.established = False
    await still_stands(peer, new)


@case("IKEPY.9370.8", rfc="RFC 9370 2.2.4", group=GROUP)
async def link_that_nobody_gave(peer: Peer) -> None:
    """IKE_FOLLOWUP_KE with a link that the peer did not give: STATE_NOT_FOUND, and the IKE_SA stands."""
    sa = await _established(peer)
    begun = registry.method(METHOD).begin(os.urandom)()
    got = await peer.ask(_followup(sa, begun.public, b"nobody gave this"))
    peer.check_notify(got, NotifyType.STATE_NOT_FOUND)
    await still_stands(peer, sa)


@case("IKEPY.9370.9", rfc="RFC 9370 2.2.4", group=GROUP)
async def never_finished(peer: Peer) -> None:
    """A rekey whose IKE_FOLLOWUP_KE never comes leaves the IKE_SA as it is."""
    sa = await _established(peer)
    await _half_rekeyed(peer, sa)
    await still_stands(peer, sa)


@case("IKEPY.9370.10", rfc="RFC 9370 2.2.4, RFC 7296 2.1", group=GROUP)
async def followup_again(peer: Peer) -> None:
    """The same IKE_FOLLOWUP_KE again gets the same answer."""
    sa = await _established(peer)
    _, _, _, link = await _half_rekeyed(peer, sa)
    begun = registry.method(METHOD).begin(os.urandom)()
    octets = (draft := _followup(sa, begun.public, link.data)).encode()
    fixed = draft.but(spoil=lambda _: octets)
    first = await peer.ask(fixed)
    _check_last(peer, first)
    again = await peer.ask(fixed)
    peer.check(again.octets == first.octets, "the same octets", again)
