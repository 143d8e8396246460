"""Rekeys a CHILD_SA by CREATE_CHILD_SA with REKEY_SA (RFC 7296 1.3.3, 2.8, 2.25, RFC 9370 2.2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Child
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import ChildRemoval, Failure, ProposalMismatch, failure_of, refused_by_peer
from ikepy.sa.api.events import ChildRekeyed, ChildRekeyFailed
from ikepy.sa.exchange import child_negotiation, mismatch
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.collision import Colliding, Nonces, ours_is_redundant
from ikepy.sa.negotiation.ts_request import EVERYTHING, TsRequest
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.end_actions import ChildEnd
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks import creating, rekey_given_up
from ikepy.sa.tasks.child_create import ChildCreate
from ikepy.sa.tasks.create_exchange import CreateExchange
from ikepy.sa.tasks.creating import Created
from ikepy.sa.tasks.delete import DeleteChild, deleted_by_peer
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import NotifyPayload, Payload

# Error notifies of a peer whose PFS settings differ from ours.
PFS_REFUSALS = (NotifyType.NO_PROPOSAL_CHOSEN.name, NotifyType.INVALID_KE_PAYLOAD.name)
TRIES = 3  # of a rekey at a peer that has no room for another SA
EXPIRES_SOON = 30.0  # seconds
REDUNDANT_TIMEOUT = 60.0  # seconds until we delete a peer's redundant child that it should have deleted


class ChildRekey(Task[IkeSa]):
    """Our request to replace a child; the old child is deleted when the new one is up."""

    kind = TaskKind.CHILD_REKEY

    def __init__(
        self, child_id: int, config: Child, tickets: Sequence[int] = (), ts_request: TsRequest = EVERYTHING
    ) -> None:
        self.child_id = self.replaces = child_id
        self.config = config
        self._ts_request = ts_request
        self._tickets = list(tickets)
        self.create = CreateExchange(config, ts_request, rekeys=True)
        self._colliding: Colliding[ChildSa | None] | None = None

    @property
    def midway(self) -> bool:
        return self.create.midway

    @property
    def exchange(self) -> ExchangeType:
        return self.create.exchange

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        old = sa.children.get(self.child_id)
        if self.midway:
            return self.create.payloads(sa)
        if sa.followups.rekeys(self.child_id):
            return None  # the peer has begun to replace it
        if old is None or old.replaced_by is not None:
            return None  # the peer, or an earlier request of ours, has replaced it already
        if old.state not in (ChildState.INSTALLED, ChildState.REKEYING):
            return None  # it is being deleted
        if old.lost and sa.children.alike(old) is not None:
            sa.enqueue(DeleteChild(self.child_id), first=True)
            return None  # another one carries its traffic
        if old.config is not self.config:  # another configuration has it otherwise
            self.config = old.config
            self.create = CreateExchange(old.config, self._ts_request, rekeys=True)
        payloads = self.create.payloads(sa)
        old.state = ChildState.REKEYING
        spi = old.spi_in.to_bytes(4, "big")
        return [NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, spi), *payloads]

    def collide(self, child: ChildSa | None, nonces: Nonces) -> None:
        """Note `child`, which the peer's rekey of the same child made while ours is outstanding."""
        self._colliding = Colliding(child, nonces)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        method = self.create.other_method(payloads)
        if method is not None and self._colliding is None:
            sa.enqueue(self, first=True)
            return [sa.log(Level.DEBUG, f"the peer asks for key exchange {method}: CREATE_CHILD_SA again")]
        refusal = error_handling.gravest(Exchange.CHILD_REKEY, payloads)
        if refusal is not None:
            self.create.discard(sa, payloads)
            return self._refused(sa, *refusal, now)
        if self._loses(sa, payloads):
            self.create.discard(sa, payloads)
            text = f"{self._name}: both ends rekeyed it, the peer's new one stays"
            return [sa.log(Level.INFO, text), *outcomes(self._tickets, True, text)]
        try:
            if not self.create.take(sa, payloads):
                sa.enqueue(self, first=True)
                return []
            new, effects = self.create.conclude(sa, now)
        except PeerError as error:
            if error.fatal:
                raise
            self.create.discard(sa, payloads)
            return self._try_later(sa, str(error), failure_of(error), now)
        text = f"{self._name} rekeyed as #{new.child_id}"
        effects += [*self._take_over(sa, new, now), *outcomes(self._tickets, True, text)]
        return effects + deleted_by_peer(sa, new, now) if self.create.is_deleted(new) else effects

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset({self.config.name})

    def intends(self, sa: IkeSa) -> Child | None:
        return self.config if self.child_id in sa.children else None

    def overtaken_by_delete(self, spi_out: int) -> None:
        self.create.overtaken_by_delete(spi_out)

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return outcomes(self._tickets, False, reason)

    def _is_rekeyed_by_peer(self, sa: IkeSa) -> bool:
        """Whether the peer's colliding rekey has made a child that stays, or still may."""
        if self._colliding is None:
            return False
        old = sa.children.get(self.child_id)
        replaced = old is None or old.replaced_by is not None
        return sa.followups.rekeys(self.child_id) or (self._colliding.sa is not None and replaced)

    def _loses(self, sa: IkeSa, payloads: Sequence[Payload]) -> bool:
        """Whether the peer's rekey stays, by the rule of 2.8.1."""
        if self._colliding is None or not self._is_rekeyed_by_peer(sa):
            return False
        return ours_is_redundant(self.create.nonces(payloads), self._colliding.nonces)

    @property
    def _name(self) -> str:
        return f"{self.config.name} #{self.child_id}"

    def _take_over(self, sa: IkeSa, new: ChildSa, now: float) -> list[Effect]:
        old = sa.children.get(self.child_id)
        if old is not None:
            old.replaced_by = new.child_id
            if old.state is ChildState.REKEYED:
                old.state = ChildState.REKEYING  # the peer's rekey is redundant: we delete the old child
            # If the peer has deleted the new child already, the old one ends without a successor.
            end = ChildEnd.DELETED_BY_PEER if self.create.is_deleted(new) else ChildEnd.DELETED
            sa.enqueue(DeleteChild(self.child_id, end=end))
        sa.followups.forget_rekey(self.child_id)
        theirs = None if self._colliding is None else self._colliding.sa
        colliding = None if theirs is None else sa.children.get(theirs.child_id)
        if colliding is not None and colliding.state is not ChildState.DELETED:
            colliding.state = ChildState.REKEYED
            colliding.replaced_by = new.child_id
            colliding.lifetime.expires_at = now + REDUNDANT_TIMEOUT
        return rekeyed(sa, old if old is not None and old.announced else colliding, new)

    def _refused(self, sa: IkeSa, step: Step, refusal: NotifyPayload, now: float) -> list[Effect]:
        old = sa.children.get(self.child_id)
        if self._is_rekeyed_by_peer(sa) or old is None or old.state is not ChildState.REKEYING:
            return outcomes(self._tickets, True, f"{self._name}: the peer has rekeyed it")
        name = query.error_name(refusal)
        if step is Step.GONE:
            # CHILD_SA_NOT_FOUND (RFC 7296 2.25): a child that the peer does not have carries nothing.
            sa.enqueue(ChildCreate(WantedChild(self.config, ts_request=self._ts_request)), first=True)
            reason = ChildRemoval.UNKNOWN_TO_PEER
            return [*sa.remove_child(self.child_id, reason), *outcomes(self._tickets, False, reason.value)]
        named = refusal.notify in (NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_KE_PAYLOAD)
        cause = ProposalMismatch(self.config.esp_proposals) if named else None
        if refusal.notify == NotifyType.NO_ADDITIONAL_SAS and _is_for_good(old, now):
            sa.reauth_due = True
            name += ", which stays so: the IKE_SA is authenticated anew"
        return self._try_later(sa, name, refused_by_peer(refusal.notify, cause), now)

    def _try_later(self, sa: IkeSa, why: str, failure: Failure, now: float) -> list[Effect]:
        """Schedule another rekey after a failure; the old child carries traffic until its `life_time`."""
        old = sa.children.get(self.child_id)
        if old is None or old.state is not ChildState.REKEYING:
            return outcomes(self._tickets, False, why)
        old.state = ChildState.INSTALLED
        self.create = CreateExchange(self.config, self._ts_request, rekeys=True)
        wait = old.lifetime.postpone(now, sa.registry.entropy.uniform())
        hint = ""
        if why in PFS_REFUSALS:
            ours = mismatch.suites(self.config.esp_proposals)
            hint = f" (in use: {proposals.describe(old.proposal)}; ours: {ours})"
            if not proposals.key_exchanges(old.proposal):
                groups = proposals.key_exchange_names(self.config.esp_proposals)
                what = f"a PFS mismatch, which shows at the first rekey: our esp_proposals have {groups}"
                hint = f" ({what}; in use: {proposals.describe(old.proposal)})"
        text = f"rekey of {self._name} failed: {why}{hint}; again in {wait:.0f} s"
        told = sa.report(ChildRekeyFailed(sa.itself, old.snapshot(), failure, wait, text), Level.WARNING)
        return [*told, *outcomes(self._tickets, False, text)]


def _is_for_good(old: ChildSa, now: float) -> bool:
    """Whether a peer that has no room for a rekey is asked no more, as minimal ones never have (RFC 7296 4):
    after some tries, or when the child expires soon."""
    expires_at = old.lifetime.expires_at
    soon = expires_at is not None and expires_at - now < EXPIRES_SOON
    return soon or old.lifetime.failures + 1 >= TRIES


def begin(sa: IkeSa, child: ChildSa, tickets: Sequence[int] = ()) -> None:
    """Enqueue the rekey of a child; a failure schedules the next."""
    child.lifetime.rekey_at = None
    sa.enqueue(ChildRekey(child.child_id, child.config, tickets, child.ts_request))


def respond(sa: IkeSa, rekey: NotifyPayload, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer the peer's REKEY_SA; its SPI is the peer's inbound one, our outbound one.

    The new outbound SA stays on standby until the peer deletes the old child or sends under the new one: only
    then the peer is known to have it (RFC 7296 2.8). PeerError CHILD_SA_NOT_FOUND or TEMPORARY_FAILURE if the
    child is unknown or just being replaced.
    """
    if rekey.protocol != ProtocolId.ESP or len(rekey.spi) != 4:
        raise PeerError(NotifyType.INVALID_SYNTAX, "REKEY_SA names no ESP SA")
    old = sa.children.by_outbound_spi(int.from_bytes(rekey.spi, "big"))
    if old is None and sa.tasks.creating:  # perhaps the response to our request, which made it, is late
        raise PeerError(NotifyType.TEMPORARY_FAILURE, f"no child {rekey.spi.hex()} to rekey yet")
    if old is None or old.state is ChildState.DELETED:
        text = f"no child {rekey.spi.hex()} to rekey"
        raise PeerError(NotifyType.CHILD_SA_NOT_FOUND, text, spi=rekey.spi)
    if old.state not in (ChildState.INSTALLED, ChildState.REKEYING) or old.replaced_by is not None:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, f"{old.config.name} #{old.child_id} is being replaced")
    choice = child_negotiation.choose(sa, payloads, key_exchange=True, only=old.config)
    child_id = old.child_id

    def made(created: Created, later: float) -> list[Effect]:
        replaced = _replaceable(sa, child_id)
        new, effects = created.install(sa, later, standby=True)
        replaced.state = ChildState.REKEYED
        replaced.replaced_by = new.child_id
        _collide(sa, child_id, new, created.nonces)
        return [*effects, *rekeyed(sa, replaced, new)]

    def give_up(later: float) -> list[Effect]:
        return _resume(sa, child_id, later)

    response = creating.respond(sa, choice, payloads, now, made, replaces=child_id, give_up=give_up)
    if response.nonces is not None:
        _collide(sa, child_id, None, response.nonces)
    return response.answer


def _replaceable(sa: IkeSa, child_id: int) -> ChildSa:
    """What the peer's additional key exchanges are to replace; PeerError if it can't be any more."""
    old = sa.children.get(child_id)
    if old is None or not old.in_use:
        raise PeerError(NotifyType.CHILD_SA_NOT_FOUND, f"child #{child_id} is gone")
    if old.replaced_by is not None:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, f"{old.config.name} #{child_id} was replaced meanwhile")
    return old


def _collide(sa: IkeSa, child_id: int, new: ChildSa | None, nonces: Nonces) -> None:
    """Tell our own rekey of this child of the peer's."""
    for ours in sa.tasks.creating:
        if child_id == ours.replaces:
            ours.collide(new, nonces)


def _resume(sa: IkeSa, child_id: int, now: float) -> list[Effect]:
    """The peer has begun to rekey a child, and does not go on: ours, which had lost, is due again."""
    old = sa.children.get(child_id)
    if old is None or not old.in_use or old.replaced_by is not None:
        return []
    if sa.tasks.replaces(child_id):
        return []
    rekey_given_up.keep(sa, old, now)
    text = f"the peer does not go on with its rekey of {old.config.name} #{child_id}"
    return [sa.log(Level.INFO, text)]


def rekeyed(sa: IkeSa, old: ChildSa | None, new: ChildSa) -> list[Effect]:
    """The event and the log line for a rekeyed child; `new` is an additional one if `old` is down already."""
    if old is None or not old.announced:
        return sa.child_up(new)
    old.announced, new.announced = False, True
    return sa.report(ChildRekeyed(sa.itself, old.snapshot(), new.snapshot()), Level.INFO)
