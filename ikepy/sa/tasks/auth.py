"""IKE_AUTH: authenticates both ends and creates the first CHILD_SA (RFC 7296 1.2, 2.15, 2.16).

The method of authentication (`auth/`) says how many rounds it takes. Identities stand in the first request
and the first response. What the initiator asks for stands in the first request, and what the responder grants
in the last response: SA, TSi, TSr and the notifies that belong to them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.errors import LocalMisuse, PeerError, UnheardError
from ikepy.sa.admission.auth_failures import Hearing
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import (
    AuthenticationFailure,
    AuthenticationFault,
    End,
    Failure,
    Party,
    failure_of,
    refused_by_peer,
)
from ikepy.sa.api.events import ChildSetUpFailed
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.auth import authenticator, ppk, words
from ikepy.sa.auth.authenticator import Done, Failed, More, OwnPpk
from ikepy.sa.exchange import (
    auth_lifetime,
    authentication,
    child_negotiation,
    configuration,
    crash_detection,
    mismatch,
    ppk_use,
    redirecting,
    resumption,
)
from ikepy.sa.exchange.child_negotiation import ChildChoice, ChildOffer, KeyExchangeResult
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state import sa_limits
from ikepy.sa.state.auth_round import MOST_ROUNDS, AuthRound, Claim
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import InitExchange
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks import desired, mobike
from ikepy.sa.tasks import standby as waiting
from ikepy.sa.tasks.delete import DeleteChild, DiscardSpi
from ikepy.wire import rules
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import AuthPayload, DeletePayload, EapPayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.rules import Round

NO_PPK = "it does not use the PPK, and ppk_required = yes"
NO_ADDRESS = Failure(Party.US, NotifyType.INTERNAL_ADDRESS_FAILURE)


class AuthTask(Task[IkeSa]):
    """Our IKE_AUTH."""

    kind = TaskKind.AUTH
    exchange = ExchangeType.IKE_AUTH
    wanted: WantedChild

    def __init__(self, wanted: WantedChild) -> None:
        self.wanted = wanted
        self._offer: ChildOffer | None = None
        self._mixed: IkeSaKeys | None = None  # with our PPK; None: we use none (RFC 8784)
        self._ppk_used = False  # the peer uses it, too
        self._step: More | None = None  # of the method: goes into our next request, and takes the response

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        if self._step is not None:
            return list(self._step.payloads)
        named, own = ppk_use.own_in_auth(sa), None
        if named is not None:
            ppk_id, self._mixed = named
            own = OwnPpk(ppk_id, authentication.keyed(sa, self._mixed), sa.connection.ppk_required)
        context = authentication.context(sa, authentication.expected_id(sa), ppk=own)
        sa.local_id = context.local_id
        step = authentication.authenticator(sa).initiate(context)
        first = authenticator.begin(step, sa.jobs.current, sa.registry.generation)
        if isinstance(first, Failed):
            raise _failed(first.why, first.fault, context.local_id, context.remote_id, reason=first.why)
        self._offer = self._first_offer(sa)
        self._step = first
        payloads: list[Payload] = [authentication.own_id_payload(sa, context.local_id)]
        if sa.registry.is_first_contact(sa):
            payloads.append(NotifyPayload(NotifyType.INITIAL_CONTACT))
        remote_id = sa.connection.remote.id
        if remote_id is not None and not remote_id.is_pattern:
            payloads.append(authentication.id_payload(PayloadType.ID_R, remote_id))
        payloads += [*first.payloads, *crash_detection.offer(sa), *resumption.request(sa)]
        payloads += [*mobike.offer(sa), *sa.window_size(), *configuration.request(sa)]
        return payloads if self._offer is None else [*payloads, *self._offer.payloads()]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        claim = self._claim(sa, payloads)
        refusal = error_handling.gravest(Exchange.IKE_AUTH, payloads)
        if refusal is not None and refusal[0] is Step.CLOSE:
            text = f"the peer refused: {query.error_name(refusal[1])}"
            return self._close(sa, text, refused_by_peer(refusal[1].notify), now)
        expected = sa.connection.remote.id
        if not claim.identity.matches(expected):
            other = f"IDr: it is not {words.identity(expected)}"
            return self._reject(sa, claim, Failed(other, AuthenticationFault.OTHER_IDENTITY), now)
        if self._step is None:
            raise LocalMisuse("a response to IKE_AUTH, which was not asked for")
        named = ppk.is_used(self._step.payloads)  # in our request
        self._ppk_used = self._ppk_used or (named and ppk.is_used(payloads))
        keys = self._mixed if self._ppk_used else None
        step: authenticator.Step
        if named and keys is None and sa.connection.ppk_required:
            step = Failed(NO_PPK, AuthenticationFault.METHOD)
        else:
            step = self._step.following(authentication.received(sa, claim, payloads, keys))
        match _settled(sa, step):
            case Failed() as failed:
                return self._reject(sa, claim, failed, now)
            case More() as more:
                _check_place(sa, payloads, last=False)
                return self._go_on(sa, claim, more, now)
            case Done() as step:
                _check_place(sa, payloads, last=query.maybe(payloads, EapPayload) is None)
                redirect = redirecting.told(sa, payloads, now)
                if redirect is not None:
                    deleted = list[Effect]()
                    if query.maybe(self._step.payloads, AuthPayload) is not None:  # else there is none yet
                        deleted = sa.send_unanswered([DeletePayload(ProtocolId.IKE, ())], now)
                    return [*_remarks(sa, step), *deleted, *redirecting.leave(sa, redirect, self.wanted)]
                lack = configuration.missing(sa, payloads)
                if lack:
                    return self._close(sa, lack, NO_ADDRESS, now)
                sa.proven_until = step.until
                return [
                    *_remarks(sa, step),
                    *self._use_ppk(sa),
                    *self._establish(sa, claim, payloads, now),
                ]

    def _claim(self, sa: IkeSa, payloads: Sequence[Payload]) -> Claim:
        """The identity that the peer claims in its first response. PeerError if the response is a refusal."""
        id_r = query.identity(payloads, PayloadType.ID_R)
        proof = query.maybe(payloads, AuthPayload) or query.maybe(payloads, EapPayload)
        if sa.auth_round is not None and (proof is not None or not _is_refusal(payloads)):
            return sa.auth_round.claim  # who has proven itself before may have nothing to add (RFC 4739)
        if sa.auth_round is None and proof is not None and id_r is not None:
            return authentication.claim(sa, id_r, sa.connection)
        error = query.error(payloads)
        name = "an incomplete IKE_AUTH response" if error is None else query.error_name(error)
        failure = None if error is None else refused_by_peer(error.notify)
        text = f"the peer refused: {name}"
        raise PeerError(NotifyType.AUTHENTICATION_FAILED, text, cause=failure)

    def _go_on(self, sa: IkeSa, claim: Claim, more: More, now: float) -> list[Effect]:
        """The method wants another round."""
        sa.connecting.auth_round = AuthRound(_rounds(sa) + 1, claim, more.following)
        if sa.connecting.give_up_at is None:
            sa.connecting.give_up_at = now + sa.registry.config.daemon.half_open_timeout
        self._step = more
        sa.enqueue(self, first=True)
        return []

    def _use_ppk(self, sa: IkeSa) -> list[Effect]:
        if self._mixed is None:
            return []
        if not self._ppk_used:
            return ppk_use.without(sa)
        sa.mix_keys(self._mixed)
        return []

    def _establish(self, sa: IkeSa, claim: Claim, payloads: Sequence[Payload], now: float) -> list[Effect]:
        sa.remote_id = claim.identity
        mobike.agree(sa, payloads)
        init = sa.connecting.init
        effects = [*sa.establish(now), *configuration.take(sa, payloads)]
        if self._offer is None:
            desired.create(sa, self.wanted)
        else:
            effects += self._first_child(sa, self._offer, init, payloads, now)
        desired.create_others(sa)
        return effects

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return desired.failed(sa, self.wanted, reason) + desired.abandon(sa, reason)

    def _reject(self, sa: IkeSa, claim: Claim, failed: Failed, now: float) -> list[Effect]:
        """Report a failed authentication of the responder in an INFORMATIONAL exchange (RFC 7296 2.21.2)."""
        text = f"authentication of the peer {words.identity(claim.identity)} failed ({failed.why})"
        effects = desired.failed(sa, self.wanted, text)
        effects += sa.send_unanswered([NotifyPayload(NotifyType.AUTHENTICATION_FAILED)], now)
        cause = AuthenticationFailure(failed.fault, sa.local_id, claim.identity, reason=failed.why)
        failure = Failure(Party.US, NotifyType.AUTHENTICATION_FAILED, cause)
        return effects + sa.kill(End.REFUSED, text, Level.ERROR, failure=failure)

    def _close(self, sa: IkeSa, text: str, failure: Failure, now: float) -> list[Effect]:
        """Delete an IKE_SA whose IKE_AUTH failed as a whole: the peer may have established it (3.10.1)."""
        effects = desired.failed(sa, self.wanted, text)
        effects += sa.send_unanswered([DeletePayload(ProtocolId.IKE, ())], now)
        return effects + sa.kill(End.REFUSED, text, Level.ERROR, failure=failure)

    def _first_offer(self, sa: IkeSa) -> ChildOffer | None:
        """The offer for the child of this IKE_AUTH; None if it is childless (RFC 6023)."""
        policy = sa.connection.childless
        if policy == "force" and not sa.connecting.peer_childless:
            raise PeerError(NotifyType.INVALID_SYNTAX, "childless = force, which the peer does not support")
        if policy in ("force", "prefer") and sa.connecting.peer_childless:
            return None
        wanted = self.wanted
        return child_negotiation.offer(sa, wanted.config, key_exchange=False, ts_request=wanted.ts_request)

    def _first_child(
        self, sa: IkeSa, offer: ChildOffer, init: InitExchange, payloads: Sequence[Payload], now: float
    ) -> list[Effect]:
        result = KeyExchangeResult(init.nonce_i, init.nonce_r, (), we_started=True)
        try:
            child, effects = child_negotiation.conclude(sa, offer, payloads, result, now)
        except PeerError as error:
            if error.fatal:
                raise
            narrower = offer.narrower(payloads)
            if narrower is not None:
                self.wanted.ts_request = narrower
                desired.create(sa, self.wanted)
                return [sa.log(Level.INFO, child_negotiation.one_pair(self.wanted.config, narrower))]
            if query.maybe(payloads, SaPayload) is not None:  # the peer made what we did not ask for
                sa.enqueue(DiscardSpi(offer.spi_in), first=True)
            text = f"child {self.wanted.config.name}: {error}"
            told = ChildSetUpFailed(sa.itself, self.wanted.config.name, failure_of(error), text)
            return [*desired.failed(sa, self.wanted, text), *sa.report(told, Level.ERROR)]
        if self.wanted.given_up:
            sa.enqueue(DeleteChild(child.child_id, wanted=True))
        text = f"CHILD_SA {child.config.name} #{child.child_id} is up"
        return effects + outcomes(self.wanted.tickets, True, text)


def respond(sa: IkeSa, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    """Answer the peer's IKE_AUTH; PeerError AUTHENTICATION_FAILED, the same whatever its cause.

    May raise ResultPending: nothing of `sa` has changed then but its connection, which is found anew.
    """
    request = tuple(payloads) if sa.auth_round is None else sa.auth_round.request
    claim = _claim(sa, request)
    connection = claim.connection
    named = connection is not None and _names(connection)
    hearing = _hearing(sa, claim.identity, now, named=named)
    mixed, doing_without, unwilling, decides = ppk_use.peers(sa, connection, payloads)
    message = authentication.received(sa, claim, payloads, mixed)
    if doing_without is not None:
        message = ppk.doing_without(message, doing_without)
    if connection is not None:
        sa.registry.assign(sa, connection)
    step: authenticator.Step
    if unwilling is not None:
        step = unwilling
    elif sa.auth_round is None:
        context = authentication.context(sa, claim.identity, known=connection is not None, keys=mixed)
        step = authentication.authenticator(sa).respond(context, message)
    elif _name(connection) == _name(sa.auth_round.claim.connection):
        step = sa.auth_round.following(message)
    else:
        step = Failed("another connection is configured for it than when it began")
    settled = _settled(sa, step)
    local_id = sa.local_id or authentication.own_id(sa)
    own: list[Payload] = []
    if sa.auth_round is None:
        own.append(authentication.own_id_payload(sa, local_id))
    if decides and mixed is not None and not isinstance(settled, Failed):
        own.append(NotifyPayload(NotifyType.PPK_IDENTITY))
    elsewhere = redirecting.before_eap(sa, connection, payloads, settled, named=named)
    if elsewhere is not None:
        sa.connecting.auth_round = AuthRound(1, claim, _sent_away, request)
        return Answer([*own, *elsewhere], redirecting.forget_soon(sa, now))
    if isinstance(settled, More):
        sa.local_id = local_id  # what we have called ourselves holds, even if our address changes
        decided = decides or (sa.auth_round is not None and sa.auth_round.ppk)
        sa.connecting.auth_round = AuthRound(
            _rounds(sa) + 1, claim, settled.following, request, decided, mixed
        )
        return Answer([*own, *settled.payloads])
    if isinstance(settled, Failed) or connection is None:
        failed, ours = settled if isinstance(settled, Failed) else Failed(""), local_id
        if connection is None:
            ours = _asked_id(request) or local_id
            why = mismatch.no_connection(
                sa.connecting.candidates.connections,
                claim.identity,
                _asked_id(request),
                authentication.own_address(sa),
            )
            failed = Failed(why, AuthenticationFault.NO_CONNECTION)
        raise _failure(sa, failed, ours, claim.identity, hearing, now, named=named)
    sa.registry.auth_failures.proven(_source(sa), claim.identity, now)
    sa.local_id, sa.remote_id = local_id, claim.identity
    sa.eap_id, sa.granted, sa.proven_until = settled.eap_id, settled.granted, settled.until
    if mixed is not None:
        sa.mix_keys(mixed)
    gateway = connection.redirect_to
    if gateway is not None and gateway != path.local.address and sa.redirection.followed_by_peer:
        away = [*_remarks(sa, settled), *redirecting.send_away(sa, gateway, now)]
        return Answer([*own, *settled.payloads, redirecting.notify_of(gateway)], away)
    told = auth_lifetime.limit(sa, now)
    child_effects, granted = _grant(sa, connection, request, path, now)
    return Answer([*own, *settled.payloads, *granted, *told], [*_remarks(sa, settled), *child_effects])


def _sent_away(message: authenticator.Received) -> authenticator.Step:
    return Failed("it was sent to another gateway")


def _claim(sa: IkeSa, request: Sequence[Payload]) -> Claim:
    """The identity that the peer claims, and the connection that it means, if there is one.

    Once for all rounds, but anew if there is another configuration.
    """
    if sa.auth_round is not None and sa.auth_round.claim.generation == sa.registry.generation:
        return sa.auth_round.claim
    id_i = query.identity(request, PayloadType.ID_I)
    if id_i is None:
        raise PeerError(NotifyType.INVALID_SYNTAX, "no IDi in IKE_AUTH")
    remote_id = Identity(id_i.id_type, id_i.data)
    candidates, asked = sa.connecting.candidates, _asked_id(request)
    connection = candidates.match(sa.keys.proposal, asked, remote_id, sa.path.local.address)
    return authentication.claim(sa, id_i, connection)


def _is_refusal(payloads: Sequence[Payload]) -> bool:
    """Whether errors in a response end the IKE_SA, and not just its child."""
    found = error_handling.gravest(Exchange.IKE_AUTH, payloads)
    return found is not None and found[0] in (Step.END, Step.CLOSE)


def _asked_id(request: Sequence[Payload]) -> Identity | None:
    """Our identity that the peer asks for (IDr), None if it leaves that to us."""
    asked = query.identity(request, PayloadType.ID_R)
    return None if asked is None else Identity(asked.id_type, asked.data)


def _grant(
    sa: IkeSa, connection: Connection, request: Sequence[Payload], path: Path, now: float
) -> tuple[list[Effect], list[Payload]]:
    """Grant an authenticated peer what its first request asks for: the child, MOBIKE, the window."""
    if connection.unique == "keep" and sa.registry.siblings(sa):
        text = f"an IKE_SA with {words.identity(sa.remote_id)} exists, and unique = keep"
        raise _failed(text, AuthenticationFault.NOT_UNIQUE, sa.local_id, sa.remote_id)
    if resumption.is_used(sa, now):
        raise _failed("its ticket was used", AuthenticationFault.NOT_PROVEN, sa.local_id, sa.remote_id)
    sa.connecting.initial_contact = query.notify(request, NotifyType.INITIAL_CONTACT) is not None
    sa_limits.check_ike_sa(sa)
    mobike.forbid_nats(request, path)
    mobike.agree(sa, request)
    given, refusal = configuration.grant(sa, request)
    choice, init = _choose_child(sa, request), sa.connecting.init
    if refusal is not None and choice is not None:
        choice = refusal
    effects = [*resumption.took_place(sa), *sa.establish(now)]
    child_effects, child_payloads = _respond_child(sa, init, choice, now)
    more = mobike.offer(sa) if sa.mobike is not None else []
    more += [*crash_detection.offer(sa), *resumption.grant(sa, request, now)]
    child_payloads = [*configuration.reply(sa, request), *child_payloads]
    return [*effects, *given, *child_effects], [*child_payloads, *more, *sa.window_size()]


def _remarks(sa: IkeSa, done: Done) -> list[Effect]:
    return [sa.log(Level.INFO, done.remark)] if done.remark else []


def _rounds(sa: IkeSa) -> int:
    """The number of rounds of IKE_AUTH that are over."""
    return 0 if sa.auth_round is None else sa.auth_round.number


def _settled(sa: IkeSa, step: authenticator.Step) -> Done | More | Failed:
    """The step that follows once all jobs of `step` are done; Failed after MOST_ROUNDS rounds."""
    settled = authenticator.settle(step, sa.jobs.current, sa.registry.generation)
    if isinstance(settled, More) and _rounds(sa) + 1 >= MOST_ROUNDS:
        return Failed(f"it is not done after {MOST_ROUNDS} rounds")
    return settled


def _name(connection: Connection | None) -> str | None:
    return None if connection is None else connection.name


def _check_place(sa: IkeSa, payloads: Sequence[Payload], *, last: bool) -> None:
    """PeerError if a payload may not stand in this response; only the method knows which one is the last."""
    header = sa.header(ExchangeType.IKE_AUTH, 0, response=True)
    rules.check(header, payloads, protected=True, round=Round(first=sa.auth_round is None, last=last))


def _names(connection: Connection) -> bool:
    """Whether the configuration names the peer of a connection, not just a pattern for many."""
    return connection.remote.id is not None and not connection.remote.id.is_pattern


def _source(sa: IkeSa) -> Endpoint:
    """The address and port from which the peer's IKE_SA_INIT came."""
    return sa.connecting.source


def _hearing(sa: IkeSa, remote_id: Identity, now: float, *, named: bool) -> Hearing:
    """How to treat the attempt; UnheardError if this identity or address failed too often before."""
    hearing = sa.registry.auth_failures.hearing(_source(sa).address, remote_id, now, named=named)
    if hearing is Hearing.NONE:
        sa.registry.tally[Unserved.UNHEARD_AUTH] += 1
        who = words.identity(remote_id)
        cause = AuthenticationFailure(AuthenticationFault.NOT_HEARD, None, remote_id)
        raise UnheardError(f"not heard: {who} has failed to authenticate too often from there", cause)
    return hearing


def _failure(
    sa: IkeSa,
    failed: Failed,
    local_id: Identity,
    remote_id: Identity,
    hearing: Hearing,
    now: float,
    *,
    named: bool,
) -> PeerError | UnheardError:
    """Count a failed attempt; the error decides whether AUTHENTICATION_FAILED or no answer is sent."""
    sa.registry.tally[Unserved.FAILED_AUTH] += 1
    text = f"authentication of the peer {words.identity(remote_id)} failed ({failed.why})"
    wait = sa.registry.auth_failures.failed(_source(sa), remote_id, now, named=named)
    if wait:
        text += f"; no further attempt is heard for {wait:.0f} s"
    if hearing is not Hearing.FULL:
        cause = AuthenticationFailure(failed.fault, local_id, remote_id, reason=failed.why)
        return UnheardError(text, cause)
    eap = b"".join(one.data for one in failed.payloads if isinstance(one, EapPayload))
    return _failed(text, failed.fault, local_id, remote_id, eap, reason=failed.why)


def _choose_child(sa: IkeSa, payloads: Sequence[Payload]) -> ChildChoice | PeerError | None:
    """Choose the first child; None for a childless IKE_AUTH, a PeerError if only the child fails (1.2).

    Raises a PeerError if the IKE_SA is refused too.
    """
    childless, policy = query.maybe(payloads, SaPayload) is None, sa.connection.childless
    if childless != (policy == "force") and policy in ("never", "force"):
        text = f"IKE_AUTH {'without' if childless else 'with'} a child, and childless = {policy}"
        raise PeerError(NotifyType.INVALID_SYNTAX, text)
    if childless:
        return None
    try:
        return child_negotiation.choose(sa, payloads, key_exchange=False, only=None)
    except PeerError as error:
        if error_handling.when_sent(Exchange.IKE_AUTH, error.notify) is Step.END:
            raise
        return error


def _respond_child(
    sa: IkeSa, init: InitExchange, choice: ChildChoice | PeerError | None, now: float
) -> tuple[list[Effect], list[Payload]]:
    """Install the first child, or refuse it."""
    if choice is None:
        return [], []
    if isinstance(choice, PeerError):
        return _no_child(sa, choice)
    result = KeyExchangeResult(init.nonce_i, init.nonce_r, (), we_started=False)
    try:
        # Over a reauthentication the older child goes on until the peer has heard of this one.
        standby = sa.registry.sends(sa.connection.name, Selectors(choice.ts_local, choice.ts_remote))
        spi_in = child_negotiation.own_spi(sa)
        child, effects = child_negotiation.accept(sa, choice, spi_in, result, now, standby=standby)
    except PeerError as error:
        return _no_child(sa, error)
    if standby:
        waiting.begin(sa, child, now, first=True)
    return effects, choice.payloads(spi_in)


def _no_child(sa: IkeSa, error: PeerError) -> tuple[list[Effect], list[Payload]]:
    told = ChildSetUpFailed(sa.itself, "", failure_of(error), f"no first child: {error}")
    return sa.report(told, Level.ERROR), [NotifyPayload(error.notify, error.data)]


def _failed(
    text: str,
    fault: AuthenticationFault,
    local_id: Identity | None,
    remote_id: Identity | None,
    eap: bytes = b"",
    *,
    reason: str = "",
) -> PeerError:
    cause = AuthenticationFailure(fault, local_id, remote_id, reason=reason)
    return PeerError(NotifyType.AUTHENTICATION_FAILED, text, cause=cause, eap=eap)
