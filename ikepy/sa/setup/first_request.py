"""Answers a peer's first request, at once or when its key exchange is computed (RFC 7296 1.2, 5723 4.3)."""

from __future__ import annotations

from ikepy.errors import PeerError
from ikepy.sa.admission import stateless
from ikepy.sa.api.computation import Computation, ResultPending
from ikepy.sa.api.effects import Effect, Level, Send
from ikepy.sa.api.ends import End, failure_of
from ikepy.sa.driver import dispatch
from ikepy.sa.negotiation.proposals import describe
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.set_up import SetUp
from ikepy.sa.tasks import init, resume
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.message import Message
from ikepy.wire.payloads import NotifyPayload

_ANSWERS = {ExchangeType.IKE_SA_INIT: init.respond, ExchangeType.IKE_SESSION_RESUME: resume.respond}


def accept(sa: IkeSa, message: Message, datagram: bytes, now: float) -> list[Effect]:
    """Begin a half-open IKE_SA and answer its first request; PeerError or WireError if it is unacceptable."""
    dispatch.check(sa, message.header, message.payloads, protected=False)
    connecting = sa.connecting
    connecting.init.request = datagram
    sa.set_up = SetUp(False, now, now, b"")
    sa.enter(Phase.CONNECTING)
    connecting.give_up_at = now + sa.registry.config.daemon.half_open_timeout
    return _answer(sa, message, Computation(), now)


def _answer(sa: IkeSa, message: Message, work: Computation, now: float) -> list[Effect]:
    try:
        with sa.jobs.at(work):
            answer = _ANSWERS[ExchangeType(message.header.exchange)]
            payloads = answer(sa, message.header, message.payloads, sa.connecting.init.request)
    except ResultPending as wanted:
        return sa.suspend(work, wanted, lambda later: _answer_late(sa, message, work, later))
    response = sa.encode_unprotected(sa.header(message.header.exchange, 0, response=True), payloads)
    sa.connecting.init.response = response
    sa.window.answered(0, (response,))
    sa.heard_at = sa.sent_at = now
    verb = "initiates" if sa.resumption.resumed is None else "resumes"
    return [
        sa.log(Level.INFO, f"{sa.path.remote} {verb} an IKE_SA, {describe(sa.keys.proposal)}"),
        Send(sa.path, response),
    ]


def _answer_late(sa: IkeSa, message: Message, work: Computation, now: float) -> list[Effect]:
    """`_answer` once the computation is done; also sends the refusal, as no caller catches errors now."""
    try:
        return _answer(sa, message, work, now)
    except PeerError as error:
        effects: list[Effect] = []
        if error.notify != NotifyType.TEMPORARY_FAILURE:  # our own lack of resources: let the peer retransmit
            notify = NotifyPayload(error.notify, error.data)
            effects = [stateless.refusal(message.header, notify, sa.path)]
        text = f"{error.notify.name}: {error}"
        return [*effects, *sa.kill(End.REFUSED, text, failure=failure_of(error))]
