"""A peer's IKE_SA_INIT: answered, perhaps once its key exchange is computed, or refused (RFC 7296 1.2)."""

from __future__ import annotations

from ikepy.errors import PeerError
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.message import Message, encode_message
from ikepy.wire.payloads import NotifyPayload

from . import incoming, stateless
from .effects import Effect, Level, Send
from .ike_sa import IkeSa
from .phase import End, Phase
from .proposals import describe
from .set_up import SetUp
from .tasks import init
from .work import Wanted, Work


def accept(sa: IkeSa, message: Message, datagram: bytes, now: float) -> list[Effect]:
    """Answer it, at once or later; PeerError or WireError if it is not acceptable."""
    incoming.check(sa, message.header, message.payloads, protected=False)
    sa.init.request = datagram
    sa.set_up = SetUp(False, now, now, b"")
    sa.phase = Phase.CONNECTING
    sa.give_up_at = now + sa.shared.config.daemon.half_open_timeout
    return _answer(sa, message, Work(), now)


def _answer(sa: IkeSa, message: Message, work: Work, now: float) -> list[Effect]:
    try:
        with sa.jobs.at(work):
            payloads = init.respond(sa, message.header, message.payloads, sa.init.request)
    except Wanted as wanted:
        return sa.lay_aside(work, wanted, lambda later: _answer_late(sa, message, work, later))
    sa.init.response = encode_message(sa.header(ExchangeType.IKE_SA_INIT, 0, response=True), payloads)
    sa.window.answered(0, (sa.init.response,))
    sa.heard_at = sa.sent_at = now
    return [
        sa.log(Level.INFO, f"{sa.path.remote} initiates an IKE_SA, {describe(sa.keyed.proposal)}"),
        Send(sa.path, sa.init.response),
    ]


def _answer_late(sa: IkeSa, message: Message, work: Work, now: float) -> list[Effect]:
    """The same again, with what it needs: here nobody else refuses."""
    try:
        return _answer(sa, message, work, now)
    except PeerError as error:
        effects: list[Effect] = []
        if error.notify != NotifyType.TEMPORARY_FAILURE:  # else nothing is wrong with it
            notify = NotifyPayload(error.notify, error.data)
            effects = [stateless.refusal(message.header, notify, sa.path)]
        return [*effects, *sa.kill(End.REFUSED, f"{error.notify.name}: {error}")]
