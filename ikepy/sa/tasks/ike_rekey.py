"""Rekeys the IKE_SA by CREATE_CHILD_SA (RFC 7296 1.3.2, 2.8, 2.18, 2.25.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.crypto.kex.method import Begun
from ikepy.crypto.key_schedule import Seed
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import Failure, ProposalMismatch, refused_by_peer
from ikepy.sa.api.events import IkeRekeyFailed
from ikepy.sa.exchange import key_exchange, mismatch
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.collision import Colliding, Nonces, ours_is_redundant
from ikepy.sa.state import sa_limits
from ikepy.sa.state.ike_keys import ike_sa_keys, suite_of
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.tasks import rekey_handover
from ikepy.sa.tasks.delete import DeleteIke
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal

# After a collision that ours wins: seconds that the peer has to delete its redundant IKE_SA, before we delete
# the old one. If our delete overtook our answer to the peer's rekey, the peer would forget that rekey
# (2.25.2) and never delete the IKE_SA that it made.
SETTLING = 1.0
_BY_PEER = "the peer has rekeyed it"


class IkeRekey(Task[IkeSa]):
    """Our request to replace the IKE_SA; the old one is deleted when the new one has its children."""

    kind = TaskKind.IKE_REKEY
    exchange = ExchangeType.CREATE_CHILD_SA

    def __init__(self, tickets: Sequence[int] = ()) -> None:
        self._tickets = list(tickets)
        self._method = key_exchange.MethodChoice()
        self._spi = b""
        self._offered: tuple[Proposal, ...] = ()
        self._ke: Begun | None = None
        self._nonce = b""
        self._colliding: Colliding[IkeSa] | None = None

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        if not sa.established:
            return None
        random = sa.registry.entropy.random
        self._spi = sa.registry.ike_spi()
        self._nonce = random(NONCE_SIZE)
        self._offered = proposals.numbered(sa.connection.proposals, self._spi)
        method = self._method.of(self._offered)
        self._ke = None if method is None else key_exchange.begin(sa, method)
        ke = [] if self._ke is None else [KePayload(self._ke.method.id, self._ke.public)]
        return [SaPayload(self._offered), NoncePayload(self._nonce), *ke]

    def collide_with(self, successor: IkeSa, nonces: Nonces) -> None:
        self._colliding = Colliding(successor, nonces)

    @property
    def colliding(self) -> IkeSa | None:
        successor = None if self._colliding is None else self._colliding.sa.successor
        return successor if successor is not None and successor.established else None

    def settle_collision(self, sa: IkeSa, now: float) -> list[Effect]:
        """Hand the children to the IKE_SA of the peer's colliding rekey, if there is one: it stays."""
        colliding = self.colliding
        return [] if colliding is None or not sa.established else rekey_handover.hand_over(sa, colliding, now)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        method = None if self._colliding is not None else self._method.follow(payloads, self._offered)
        if method is not None:
            sa.enqueue(self, first=True)
            return [sa.log(Level.DEBUG, f"the peer asks for key exchange {method}: CREATE_CHILD_SA again")]
        refusal = error_handling.gravest(Exchange.IKE_REKEY, payloads)
        if refusal is not None:
            return self._refused(sa, *refusal, now)
        new = self._successor(sa, payloads, now)
        nonces = Nonces(self._nonce, query.must(payloads, NoncePayload).data)
        if self._colliding is not None and ours_is_redundant(nonces, self._colliding.nonces):
            new.enqueue(DeleteIke())
            text = f"both ends rekeyed the IKE_SA, the peer's #{self._colliding.sa.ike_id} stays"
            told = outcomes(self._tickets, True, text)
            return [sa.log(Level.INFO, text), *self.settle_collision(sa, now), *told]
        loser = (
            None if self._colliding is None or self._colliding.sa.phase is Phase.DEAD else self._colliding.sa
        )
        effects = rekey_handover.hand_over(sa, new, now)
        if loser is None:
            sa.enqueue(DeleteIke())
        else:
            rekey_handover.await_delete(loser, now, then_deletes=sa)
            sa.tasks.put_off(DeleteIke(), now + SETTLING)
        return [*effects, *outcomes(self._tickets, True, f"rekeyed as #{new.ike_id}")]

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        if self.colliding is not None:
            return outcomes(self._tickets, True, _BY_PEER)
        return outcomes(self._tickets, False, reason)

    def _refused(self, sa: IkeSa, step: Step, refusal: NotifyPayload, now: float) -> list[Effect]:
        if self._colliding is not None:
            told = outcomes(self._tickets, True, _BY_PEER)
            return self.settle_collision(sa, now) + told
        why = query.error_name(refusal)
        if step is Step.INSTEAD:
            sa.reauth_due = True
            text = f"the peer does not rekey the IKE_SA ({why}): authenticating anew"
            return self._tell(sa, refused_by_peer(refusal.notify), None, text)
        wait = sa.lifetime.postpone(now, sa.registry.entropy.uniform())
        beside, cause = "", None
        if refusal.notify == NotifyType.NO_PROPOSAL_CHOSEN:
            cause = ProposalMismatch(self._offered)
            in_use = proposals.describe(sa.keys.proposal)
            beside = f" (in use: {in_use}; ours: {mismatch.suites(self._offered)})"
        text = f"rekey of the IKE_SA failed: {why}{beside}; again in {wait:.0f} s"
        return self._tell(sa, refused_by_peer(refusal.notify, cause), wait, text)

    def _tell(self, sa: IkeSa, failure: Failure, wait: float | None, text: str) -> list[Effect]:
        told = sa.report_of_chain(IkeRekeyFailed(sa.itself, failure, wait, text), Level.WARNING)
        return [*told, *outcomes(self._tickets, False, text)]

    def _successor(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> IkeSa:
        chosen = proposals.acceptable_choice(query.must(payloads, SaPayload).proposals, self._offered)
        if chosen is None or len(chosen.spi) != 8 or chosen.spi == bytes(8):
            raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "the peer chose what was not offered", fatal=True)
        wanted = proposals.first_key_exchange(chosen)
        secret = key_exchange.finish(sa, self._ke, wanted, payloads, fatal=True)
        seed = Seed(self._nonce, query.must(payloads, NoncePayload).data, self._spi, chosen.spi)
        schedule = sa.keys.schedule.rekeyed(suite_of(chosen), (secret,), seed)
        new_keyed = ike_sa_keys(chosen, schedule, initiator=True)
        return rekey_handover.successor(sa, self._spi, chosen.spi, new_keyed, now, initiator=True)


def begin(sa: IkeSa, tickets: Sequence[int] = ()) -> None:
    """Enqueue the rekey of this IKE_SA; a failure schedules the next."""
    sa.lifetime.rekey_at = None
    sa.enqueue(IkeRekey(tickets))


def colliding(sa: IkeSa) -> IkeSa | None:
    """The IKE_SA of the peer's rekey that collides with ours; one of the two gets the children (2.8.2)."""
    task = sa.tasks.current
    return None if task is None else task.colliding


def respond(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer with a new IKE_SA that inherits the children; the peer then deletes the old one.

    PeerError NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD or TEMPORARY_FAILURE if it is refused.
    """
    ours = sa.tasks.current if sa.tasks.doing is TaskKind.IKE_REKEY else None
    if sa.tasks.busy and ours is None:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, "a child is being negotiated on this IKE_SA")
    sa_limits.check_ike_rekey(sa)
    offered = [p for p in query.must(payloads, SaPayload).proposals if p.protocol == ProtocolId.IKE]
    chosen = proposals.select(sa.connection.proposals, offered)
    if chosen is None:
        differing = mismatch.nothing_in_common(offered, sa.connection.proposals)
        raise PeerError(
            NotifyType.NO_PROPOSAL_CHOSEN,
            f"no IKE proposal fits: {differing}",
            cause=ProposalMismatch(sa.connection.proposals, tuple(offered)),
        )
    if len(chosen.spi) != 8 or chosen.spi == bytes(8):
        raise PeerError(NotifyType.INVALID_SYNTAX, "an IKE SPI has 8 bytes and is not zero")
    nonce_i = query.must(payloads, NoncePayload).data
    ke, secret = key_exchange.answer(sa, proposals.key_exchanges(chosen)[0], payloads)
    nonces = Nonces(nonce_i, sa.registry.entropy.random(NONCE_SIZE))
    spi_r = sa.registry.ike_spi()
    seed = Seed(nonces.initiator, nonces.responder, chosen.spi, spi_r)
    schedule = sa.keys.schedule.rekeyed(suite_of(chosen), (secret,), seed)
    new_keyed = ike_sa_keys(chosen, schedule, initiator=False)
    new = rekey_handover.successor(sa, chosen.spi, spi_r, new_keyed, now, initiator=False)
    answer: list[Payload] = [
        SaPayload((replace(chosen, spi=spi_r),)),
        NoncePayload(nonces.responder),
        ke,
    ]
    if ours is not None:
        # Which of the two stays is clear when the peer answers ours, or uses its own.
        ours.collide_with(new, nonces)
        new.collides_with = sa
        return Answer(answer)
    return Answer(answer, after=rekey_handover.hand_over(sa, new, now))
