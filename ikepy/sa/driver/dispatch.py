"""Checks and decrypts the messages of an IKE_SA and gives them to its tasks (RFC 7296 2.1 to 2.3, 2.21).

A response goes to the task that waits for it, a request to `tasks.respond`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.errors import IntegrityError, PeerError, UnheardError, WireError
from ikepy.sa.admission import dropped
from ikepy.sa.api.computation import Computation, ResultPending
from ikepy.sa.api.effects import Effect, Level, Send
from ikepy.sa.api.ends import End, Failure, failure_of, refused_by_peer
from ikepy.sa.api.events import ChildSetUpFailed, ResponseIgnored, RetransmissionsEnded
from ikepy.sa.api.path import Path
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.driver.turns import proceed
from ikepy.sa.exchange import auth_lifetime, crash_detection, mismatch, path_update, resumption
from ikepy.sa.message import error_handling, fragments, int_auth, message_limits, protection, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.message.int_auth import IntAuth
from ikepy.sa.message.window import Outstanding, RequestState
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Answer, Task, TaskKind
from ikepy.sa.tasks import mobike, notify, rekey_handover, respond
from ikepy.wire import rules
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, Message
from ikepy.wire.payloads import DeletePayload, EapPayload, NotifyPayload, Payload, TsPayload
from ikepy.wire.rules import Round

MOST_REQUESTS = 16  # of ours outstanding at once, if the peer's window is as large


def receive(sa: IkeSa, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
    """Process a decoded message; one that is not authentic is dropped with a debug line."""
    header = message.header
    if header.from_initiator == sa.initiator or sa.phase is Phase.DEAD:
        return []
    try:
        if header.is_response:
            return _response(sa, datagram, message, path, now)
        return _request(sa, datagram, message, path, now)
    except (WireError, IntegrityError) as error:
        return [sa.log(Level.DEBUG, f"dropped a message from {path.remote}: {error}")]


def check(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], *, protected: bool) -> None:
    """WireError or PeerError if a payload may not stand in this message, or not so often."""
    message_limits.check(sa.registry.config.daemon, payloads)
    rules.check(header, payloads, protected, Round(first=sa.auth_round is None))


# -- responses -------------------------------------------------------------------------------------


def _response(sa: IkeSa, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
    header = message.header
    task = sa.tasks.awaiting(header.message_id)
    request = sa.window.awaited(header.message_id)
    if task is None or request is None:
        return []
    if header.exchange != task.exchange:
        return [dropped.other_exchange(sa.registry.tally, header.exchange, task.exchange, path)]
    if not sa.has_keys:
        return _init_response(sa, datagram, message, path, task, request, Computation(), now)
    opened = _open(sa, datagram, message, now)
    if opened is None:
        return []
    followed = [*_authentic(sa, path, now), *mobike.answered(sa, path, task)]
    return followed + _take_response(sa, opened, header, task, request, Computation(), now)


def _take_response(
    sa: IkeSa,
    opened: fragments.OpenedMessage,
    header: IkeHeader,
    task: Task[IkeSa],
    request: Outstanding,
    work: Computation,
    now: float,
) -> list[Effect]:
    sa.window.finished(header.message_id)
    sa.tasks.answered(header.message_id)
    told = _answered_late(sa, request)
    try:
        payloads = opened.payloads()
        check(sa, header, payloads, protected=True)
        refusal = error_handling.gravest(_ANSWERED.get(task.kind, Exchange.INFORMATIONAL), payloads)
        if refusal is not None and refusal[0] is Step.END and sa.phase is not Phase.DELETING:
            text = f"the peer ends the IKE_SA: it answers {query.error_name(refusal[1])}"
            failure = refused_by_peer(refusal[1].notify)
            if task.kind is TaskKind.AUTH and refusal[1].notify == NotifyType.AUTHENTICATION_FAILED:
                text += f" ({mismatch.our_claim(sa)})"
                failure = replace(failure, cause=mismatch.not_believed(sa))
            return _end(sa, task, text, failure, now)
        covered = _covered(sa, header, opened)
        with sa.jobs.at(work):
            effects = told + task.response(sa, payloads, now)
        _cover(sa, covered)
        _heed(sa, header, payloads, now)
    except ResultPending as wanted:
        sa.window.hold(request)
        sa.tasks.resume(task, header.message_id)
        return sa.suspend(
            work, wanted, lambda later: _take_response(sa, opened, header, task, request, work, later)
        )
    except WireError as error:
        return _disown(sa, task, error, f"the peer's response is malformed: {error}", now)
    except PeerError as error:  # what is wrong with a child alone, its task has handled
        return _disown(sa, task, error, str(error), now)
    except Exception:  # a fault of ours ends the IKE_SA, and whoever waits for the task is told then
        if task not in sa.tasks.all:
            sa.tasks.resume(task, header.message_id)
        raise
    return effects + proceed(sa, now)


def _answered_late(sa: IkeSa, request: Outstanding) -> list[Effect]:
    """Report a response to a request that had to be retransmitted."""
    if not request.attempt:
        return []
    return sa.report(RetransmissionsEnded(sa.itself, request.message_id, request.attempt), Level.DEBUG)


# By task: the exchange whose rules for error notifies apply to the response; INFORMATIONAL's to all others.
_ANSWERED = {
    TaskKind.INTERMEDIATE: Exchange.IKE_INTERMEDIATE,
    TaskKind.AUTH: Exchange.IKE_AUTH,
    TaskKind.CHILD_CREATE: Exchange.CHILD_CREATE,
    TaskKind.CHILD_REKEY: Exchange.CHILD_REKEY,
    TaskKind.IKE_REKEY: Exchange.IKE_REKEY,
}


def _end(sa: IkeSa, task: Task[IkeSa], text: str, failure: Failure, now: float) -> list[Effect]:
    """End an IKE_SA that is gone for the peer (2.21.3); a rekey of the peer's own gets the children."""
    saved = task.settle_collision(sa, now)
    return [*saved, *task.failed(sa, text), *sa.kill(_fault(sa), text, Level.ERROR, failure=failure)]


def _fault(sa: IkeSa) -> End:
    """Why an IKE_SA ends after an error: one that was ending anyway is DELETED, and not set up again."""
    return End.DELETED if sa.established and sa.is_ending else End.REFUSED


def _disown(
    sa: IkeSa, task: Task[IkeSa], error: PeerError | WireError, text: str, now: float
) -> list[Effect]:
    """End an IKE_SA after an unacceptable response: send a DELETE and don't wait for its answer (2.21.3).

    If the peer's own rekey of the IKE_SA collided with ours, its new IKE_SA gets the children, as if our
    rekey had been refused (2.8.2).
    """
    saved = task.settle_collision(sa, now)
    effects = [*saved, *task.failed(sa, text)]
    if sa.phase is Phase.REKEYED:
        return [sa.log(Level.ERROR, text), *effects, *proceed(sa, now)]
    if sa.phase is Phase.ESTABLISHED:
        effects += sa.send_unanswered([DeletePayload(ProtocolId.IKE, ())], now)
    return effects + sa.kill(_fault(sa), text, Level.ERROR, failure=failure_of(error))


def _init_response(
    sa: IkeSa,
    datagram: bytes,
    message: Message,
    path: Path,
    task: Task[IkeSa],
    request: Outstanding,
    work: Computation,
    now: float,
) -> list[Effect]:
    """Process an IKE_SA_INIT response. As nothing authenticates it, a bad one is ignored, and we wait on."""
    sa.spi_r = message.header.spi_r
    sa.connecting.init.response = datagram
    sa.window.finished(message.header.message_id)
    try:
        check(sa, message.header, message.payloads, protected=False)
        with sa.jobs.at(work):
            effects = task.response(sa, message.payloads, now)
    except ResultPending as wanted:
        sa.window.hold(request)
        return sa.suspend(
            work,
            wanted,
            lambda later: _init_response(sa, datagram, message, path, task, request, work, later),
        )
    except (PeerError, WireError) as error:
        if isinstance(error, PeerError) and error.fatal:
            failure, failed = failure_of(error), task.failed(sa, str(error))
            return failed + sa.kill(End.REFUSED, str(error), Level.ERROR, failure=failure)
        sa.window.resume(request)
        sa.spi_r = bytes(8)
        sa.registry.tally[Unserved.BAD_INIT_RESPONSE] += 1
        # The log line is rate-limited: whoever has seen our request can send any number of these.
        text = f"ignored an IKE_SA_INIT response: {error}"
        told, line = ResponseIgnored(sa.itself, failure_of(error), text), sa.log(Level.WARNING, text)
        return [told, replace(line, kind="ignored response", source=path.remote.address)]
    sa.tasks.answered(message.header.message_id)
    sa.heard_at = now
    return effects + proceed(sa, now)


# -- requests --------------------------------------------------------------------------------------


def _request(sa: IkeSa, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
    header = message.header
    arrival = sa.window.arrival(header.message_id)
    if not sa.has_keys or arrival is RequestState.STALE:
        return [sa.log(Level.DEBUG, f"dropped request {header.message_id}: stale or out of order")]
    repeated = arrival is RequestState.REPEATED
    if sa.drops(header.exchange, repeated=repeated):
        return [sa.log(Level.DEBUG, f"dropped exchange {header.exchange} before IKE_AUTH")]
    if repeated:
        return _repeat(sa, datagram, message, path, now)
    if arrival is RequestState.PENDING:
        return []
    opened = _open(sa, datagram, message, now)
    if opened is None:
        return []
    sa.window.begun(header.message_id)
    followed = _authentic(sa, path, now)
    mobike.heard(sa, path)
    return followed + _take_request(sa, opened, header, path, Computation(), now)


def _take_request(
    sa: IkeSa, opened: fragments.OpenedMessage, header: IkeHeader, path: Path, work: Computation, now: float
) -> list[Effect]:
    heard: list[Effect] = []
    payloads: Sequence[Payload] = ()
    earlier = () if sa.auth_round is None else sa.auth_round.request
    try:
        payloads = opened.payloads()
        _permit(sa, header, payloads)
        heard = rekey_handover.claim(sa, payloads, now)
        if sa.phase is not Phase.CONNECTING and not work.resumed:
            heard += notify.heard(sa, payloads, now)
        with sa.jobs.at(work):
            answer = _answer(sa, header, payloads, path, now)
        _cover(sa, _covered(sa, header, opened))
        _heed(sa, header, (*earlier, *payloads), now)
    except ResultPending as wanted:
        return heard + sa.suspend(
            work, wanted, lambda later: _take_request(sa, opened, header, path, work, later)
        )
    except WireError as error:
        answer = _refusal(
            sa, header.exchange, [], PeerError(NotifyType.INVALID_SYNTAX, str(error), fatal=True), now
        )
    except UnheardError as error:
        return [*heard, *sa.kill(End.REFUSED, str(error), failure=failure_of(error))]
    except PeerError as error:
        answer = _refusal(sa, header.exchange, payloads, error, now)
    reply = sa.encode(sa.header(header.exchange, header.message_id, response=True), answer.payloads)
    sa.window.answered(header.message_id, reply)
    sa.answered(header.exchange, answer.keys)
    sa.last_answered = opened.datagram, reply
    sa.sent_at = now
    return [
        *heard,
        *answer.before,
        *(Send(path, one) for one in reply),
        *answer.after,
        *proceed(sa, now),
    ]


def _repeat(sa: IkeSa, datagram: bytes, message: Message, path: Path, now: float) -> list[Effect]:
    """Answer a retransmitted request with the same response, once for all of the request's fragments.

    Anybody may have replayed it: it is no sign of life (RFC 7296 2.4), and its source address is not followed
    (2.23).
    """
    fragment = fragments.fragment_of(message, negotiated=sa.fragmentation)
    if fragment is not None and fragment.number > 1:
        return []
    protection.unseal(datagram, message, sa.repeated_cipher)
    sa.successor.busy_at = now
    reply = sa.window.reply(message.header.message_id)
    return [Send(path, one) for one in reply]


def _permit(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload]) -> None:
    """WireError or PeerError if the exchange is not permitted in this phase, or a payload not in it."""
    if header.exchange not in sa.permitted:
        raise PeerError(NotifyType.INVALID_SYNTAX, f"exchange {header.exchange} in {sa.phase.value}")
    check(sa, header, payloads, protected=True)


def _answer(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    if header.exchange == ExchangeType.INFORMATIONAL:
        first = sa.follows_auth(header.message_id)
        ending = error_handling.ending_request(payloads, first=first)
        if ending is not None:
            text = f"the peer ends the IKE_SA: it says {query.error_name(ending)}"
            failure = refused_by_peer(ending.notify)
            killed = [*sa.settle_collision(now), *sa.kill(_fault(sa), text, Level.ERROR, failure=failure)]
            return Answer([], after=killed)
        if sa.phase is Phase.CONNECTING and sa.announced_end is End.REDIRECTED:
            return Answer([], after=sa.kill(End.REDIRECTED, "its client goes elsewhere"))
        if sa.phase is Phase.CONNECTING:
            raise PeerError(NotifyType.INVALID_SYNTAX, "INFORMATIONAL before the end of IKE_AUTH")
    return respond.respond(sa, header, payloads, path, now)


# The exchange whose rules say what our refusal does to the IKE_SA; INFORMATIONAL for all others. A rekey that
# we refuse has the same effect as a refused child.
_REFUSED: dict[int, Exchange] = {
    ExchangeType.IKE_INTERMEDIATE: Exchange.IKE_INTERMEDIATE,
    ExchangeType.IKE_AUTH: Exchange.IKE_AUTH,
    ExchangeType.CREATE_CHILD_SA: Exchange.CHILD_CREATE,
    ExchangeType.IKE_FOLLOWUP_KE: Exchange.CHILD_CREATE,
}


def _refusal(sa: IkeSa, exchange: int, payloads: Sequence[Payload], error: PeerError, now: float) -> Answer:
    """Answer a request with an error notify; a fatal one ends the IKE_SA (RFC 7296 2.21)."""
    if error.notify == NotifyType.TEMPORARY_FAILURE:
        sa.successor.busy_at = now
    protocol = ProtocolId.ESP if error.spi else ProtocolId.NONE
    refused = NotifyPayload(error.notify, error.data, protocol, error.spi)
    eap = [EapPayload(error.eap)] if error.eap else []
    text = f"{error.notify.name}: {error}"
    step = error_handling.when_sent(_REFUSED.get(exchange, Exchange.INFORMATIONAL), error.notify)
    if step is Step.END or sa.phase is Phase.CONNECTING:
        saved, failure = sa.settle_collision(now), failure_of(error)
        killed = sa.kill(_fault(sa), text, Level.ERROR, failure=failure)
        return Answer([*eap, refused], after=[*saved, *killed])
    if _offers_child(exchange, payloads):
        told = sa.report(ChildSetUpFailed(sa.itself, "", failure_of(error), text), Level.ERROR)
        return Answer([refused], before=told)
    return Answer([refused], before=[sa.log(Level.ERROR, text)])


def _offers_child(exchange: int, payloads: Sequence[Payload]) -> bool:
    """Whether a request asks for an additional child, and rekeys neither a child nor the IKE_SA."""
    if exchange != ExchangeType.CREATE_CHILD_SA or query.notify(payloads, NotifyType.REKEY_SA) is not None:
        return False
    return any(isinstance(one, TsPayload) for one in payloads)


# -- both ------------------------------------------------------------------------------------------


def _open(sa: IkeSa, datagram: bytes, message: Message, now: float) -> fragments.OpenedMessage | None:
    """Decrypt a protected message; None while fragments of it are missing."""
    known = sa.phase is not Phase.CONNECTING or sa.initiator
    settings = sa.registry.config.daemon
    limit = settings.max_message
    if not known:
        limit = min(limit, fragments.MAX_CONTENT_UNAUTHENTICATED)
    return sa.reassembly.open(
        datagram,
        message,
        sa.keys.cipher_in,
        now,
        negotiated=sa.fragmentation,
        limit=limit,
        most=settings.max_fragments,
    )


def _covered(sa: IkeSa, header: IkeHeader, opened: fragments.OpenedMessage) -> IntAuth | None:
    """What AUTH covers after this message of the peer's; None if it adds nothing."""
    if header.exchange != ExchangeType.IKE_INTERMEDIATE or sa.phase is not Phase.CONNECTING:
        return None
    return sa.with_covered(header, int_auth.of_received(opened))


def _cover(sa: IkeSa, covered: IntAuth | None) -> None:
    """Have AUTH cover a message that has been handled."""
    if covered is not None and sa.phase is Phase.CONNECTING:
        sa.connecting.int_auth = covered


def _authentic(sa: IkeSa, path: Path, now: float) -> list[Effect]:
    """Note an authentic message: a sign of life, and perhaps a new NAT mapping to follow (2.23)."""
    sa.heard_at = now
    behind_nat = sa.nat.remote and not sa.nat.local
    # With MOBIKE the initiator announces its moves (RFC 4555 3.8).
    follows = sa.phase is Phase.CONNECTING or (behind_nat and sa.mobike is None)
    return path_update.follow(sa, path) if follows and path != sa.path else []


def _heed(sa: IkeSa, header: IkeHeader, payloads: Sequence[Payload], now: float) -> None:
    """Apply what an authenticated peer says of itself in whatever exchange: SET_WINDOW_SIZE, the number of
    requests it takes at once (2.3); its token of this IKE_SA (RFC 6290 4.4), a ticket (RFC 5723 4.2), and how
    long our authentication holds (RFC 4478)."""
    if sa.phase is Phase.CONNECTING:
        return
    told = query.notify(payloads, NotifyType.SET_WINDOW_SIZE)
    if told is not None:
        sa.window.widen(min(int.from_bytes(told.data, "big"), MOST_REQUESTS))
    if header.exchange != ExchangeType.CREATE_CHILD_SA:  # there it is the one of the IKE_SA's successor
        crash_detection.learn(sa, payloads)
        auth_lifetime.heed(sa, payloads, now)  # it bounds tickets
        resumption.learn(sa, payloads, now)
