"""Rekeys the IKE_SA by CREATE_CHILD_SA (RFC 7296 1.3.2, 2.8, 2.18, 2.25.2, RFC 9370 2.2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import Failure, ProposalMismatch, refused_by_peer
from ikepy.sa.api.events import IkeRekeyFailed
from ikepy.sa.exchange import crash_detection, key_exchange, mismatch, resumption
from ikepy.sa.exchange.own_key_exchanges import OwnKeyExchanges
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.collision import Colliding, Nonces, ours_is_redundant
from ikepy.sa.state import sa_limits
from ikepy.sa.state.followups import Followup
from ikepy.sa.state.ike_keys import IkeSaKeys, ike_sa_keys, suite_of
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.tasks import followup_ke, rekey_handover
from ikepy.sa.tasks.delete import DeleteIke
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal

# After a collision that ours wins: seconds that the peer has to delete its redundant IKE_SA, before we delete
# the old one. If our delete overtook our answer to the peer's rekey, the peer would forget that rekey
# (2.25.2) and never delete the IKE_SA that it made.
SETTLING = 1.0
_BY_PEER = "the peer has rekeyed it"


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What the response to CREATE_CHILD_SA said."""

    chosen: Proposal
    nonces: Nonces


class IkeRekey(Task[IkeSa]):
    """Our request to replace the IKE_SA; the old one is deleted when the new one has its children."""

    kind = TaskKind.IKE_REKEY

    def __init__(self, tickets: Sequence[int] = ()) -> None:
        self._tickets = list(tickets)
        self._method = key_exchange.MethodChoice()
        self._spi = b""
        self._offered: tuple[Proposal, ...] = ()
        self._key_exchanges = OwnKeyExchanges(None, fatal=True)
        self._nonce = b""
        self._agreed: _Agreed | None = None
        self._colliding: Colliding[IkeSa | None] | None = None

    @property
    def midway(self) -> bool:
        return self._key_exchanges.go_on

    @property
    def exchange(self) -> ExchangeType:
        return self._key_exchanges.exchange

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        if not sa.established:
            return None
        if self.midway:
            return self._key_exchanges.request(sa)
        if sa.followups.rekeys_ike:
            return None  # the peer has begun to rekey it
        random = sa.registry.entropy.random
        self._spi = sa.registry.ike_spi()
        self._nonce = random(NONCE_SIZE)
        self._offered = proposals.numbered(sa.connection.proposals, self._spi)
        method = self._method.of(self._offered)
        began = None if method is None else key_exchange.begin(sa, method)
        self._key_exchanges, self._agreed = OwnKeyExchanges(began, fatal=True), None
        ke = [] if began is None else [KePayload(began.method.id, began.public)]
        return [SaPayload(self._offered), NoncePayload(self._nonce), *ke]

    def collide_with(self, successor: IkeSa | None, nonces: Nonces) -> None:
        self._colliding = Colliding(successor, nonces)

    @property
    def colliding(self) -> IkeSa | None:
        theirs = None if self._colliding is None else self._colliding.sa
        return theirs.successor if theirs is not None and theirs.successor.established else None

    def settle_collision(self, sa: IkeSa, now: float) -> list[Effect]:
        """Hand the children to the IKE_SA of the peer's colliding rekey, if there is one: it stays."""
        colliding = self.colliding
        return [] if colliding is None or not sa.established else rekey_handover.hand_over(sa, colliding, now)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        again = self._colliding is None and not self.midway
        method = self._method.follow(payloads, self._offered) if again else None
        if method is not None:
            sa.enqueue(self, first=True)
            return [sa.log(Level.DEBUG, f"the peer asks for key exchange {method}: CREATE_CHILD_SA again")]
        refusal = error_handling.gravest(Exchange.IKE_REKEY, payloads)
        if refusal is not None:
            return self._refused(sa, *refusal, now)
        agreed = self._take(sa, payloads)
        redundant = self._loses(sa, agreed.nonces)
        if self.midway and not redundant:
            sa.enqueue(self, first=True)
            return []
        new = None if self.midway else self._successor(sa, agreed, now)
        if new is not None:
            crash_detection.learn(new, payloads)
        if new is None or redundant:
            if new is not None:
                new.enqueue(DeleteIke())
            text = "both ends rekeyed the IKE_SA, the peer's stays"
            told = outcomes(self._tickets, True, text)
            return [sa.log(Level.INFO, text), *self.settle_collision(sa, now), *told]
        theirs = None if self._colliding is None else self._colliding.sa
        loser = None if theirs is None or theirs.phase is Phase.DEAD else theirs
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
        if self._is_rekeyed_by_peer(sa):
            told = outcomes(self._tickets, True, _BY_PEER)
            return self.settle_collision(sa, now) + told
        why = query.error_name(refusal)
        if step is Step.INSTEAD:
            sa.reauth_due = True
            text = f"the peer does not rekey the IKE_SA ({why}): authenticating anew"
            return self._tell(sa, refused_by_peer(refusal.notify), None, text)
        self._key_exchanges = OwnKeyExchanges(None, fatal=True)
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

    def _is_rekeyed_by_peer(self, sa: IkeSa) -> bool:
        """Whether the peer's colliding rekey has made an IKE_SA, or still may."""
        theirs = self._colliding
        return theirs is not None and (theirs.sa is not None or sa.followups.rekeys_ike)

    def _loses(self, sa: IkeSa, nonces: Nonces) -> bool:
        """Whether the peer's rekey stays, by the rule of 2.8.2."""
        if self._colliding is None or not self._is_rekeyed_by_peer(sa):
            return False
        return ours_is_redundant(nonces, self._colliding.nonces)

    def _take(self, sa: IkeSa, payloads: Sequence[Payload]) -> _Agreed:
        """Do the key exchange of a response. A fatal PeerError if it is unacceptable."""
        if self._agreed is not None:
            self._key_exchanges.went_on(sa, payloads)
            return self._agreed
        chosen = proposals.acceptable_choice(query.must(payloads, SaPayload).proposals, self._offered)
        if chosen is None or len(chosen.spi) != 8 or chosen.spi == bytes(8):
            raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "the peer chose what was not offered", fatal=True)
        nonces = Nonces(self._nonce, query.must(payloads, NoncePayload).data)
        self._key_exchanges.agreed(sa, chosen, payloads)
        self._agreed = _Agreed(chosen, nonces)
        return self._agreed

    def _successor(self, sa: IkeSa, agreed: _Agreed, now: float) -> IkeSa:
        chosen, nonces = agreed.chosen, agreed.nonces
        seed = Seed(nonces.initiator, nonces.responder, self._spi, chosen.spi)
        schedule = sa.keys.schedule.rekeyed(suite_of(chosen), self._key_exchanges.secrets, seed)
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
    ours = _ours(sa)
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
    kes, secrets, left = followup_ke.first(sa, chosen, payloads)
    nonces = Nonces(nonce_i, sa.registry.entropy.random(NONCE_SIZE))
    spi_r = sa.registry.ike_spi()
    seed = Seed(nonces.initiator, nonces.responder, chosen.spi, spi_r)
    answer: list[Payload] = [
        SaPayload((replace(chosen, spi=spi_r),)),
        NoncePayload(nonces.responder),
        *kes,
    ]

    def finish(all_secrets: Sequence[Secret], later: float) -> Answer:
        schedule = sa.keys.schedule.rekeyed(suite_of(chosen), all_secrets, seed)
        keys = ike_sa_keys(chosen, schedule, initiator=False)
        return _made(sa, payloads, keys, chosen.spi, spi_r, nonces, later)

    if not left:
        made = finish(secrets, now)
        return Answer([*answer, *made.payloads], after=made.after)
    if ours is not None:
        ours.collide_with(None, nonces)
    followup = Followup(left, secrets, finish, partial(_resume, sa), rekeys_ike=True)
    return Answer([*answer, followup_ke.await_next(sa, followup, now)])


def _ours(sa: IkeSa) -> Task[IkeSa] | None:
    """Our own rekey that the peer's crosses. PeerError TEMPORARY_FAILURE if we do something else."""
    ours = sa.tasks.current if sa.tasks.doing is TaskKind.IKE_REKEY else None
    if sa.tasks.busy and ours is None:
        raise PeerError(
            NotifyType.TEMPORARY_FAILURE, "a child is being set up, replaced or deleted on this IKE_SA"
        )
    return ours


def _made(
    sa: IkeSa,
    request: Sequence[Payload],
    keys: IkeSaKeys,
    spi_i: bytes,
    spi_r: bytes,
    nonces: Nonces,
    now: float,
) -> Answer:
    """The IKE_SA of the peer's rekey, once all key exchanges are done. PeerError if it can't be any more."""
    ours = _ours(sa)
    if not sa.established:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, "the IKE_SA is being rekeyed or deleted")
    new = rekey_handover.successor(sa, spi_i, spi_r, keys, now, initiator=False)
    told: list[Payload] = [*crash_detection.offer(new), *resumption.grant(new, request, now)]
    if ours is not None:
        # Which of the two stays is clear when the peer answers ours, or uses its own.
        ours.collide_with(new, nonces)
        new.collides_with = sa
        return Answer(told)
    return Answer(told, after=rekey_handover.hand_over(sa, new, now))


def _resume(sa: IkeSa, now: float) -> list[Effect]:
    """The peer has begun to rekey the IKE_SA, and does not go on: ours, which had lost, is due again."""
    if not sa.established or any(task.kind is TaskKind.IKE_REKEY for task in sa.tasks.all):
        return []
    if sa.lifetime.rekey_at is None and sa.connection.rekey_time:
        sa.lifetime.postpone(now, sa.registry.entropy.uniform())
    return [sa.log(Level.INFO, "the peer does not go on with its rekey of the IKE_SA")]
