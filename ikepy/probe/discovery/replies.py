"""Reads what comes back to an IKE_SA_INIT request: which of the few possible answers it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ikepy.errors import WireError
from ikepy.wire.constants import FIRST_STATUS_NOTIFY, NotifyType
from ikepy.wire.message import Message, decode_message
from ikepy.wire.payloads import KePayload, NotifyPayload, SaPayload
from ikepy.wire.proposal import Proposal
from ikepy.wire.redirect import Gateway, decode_gateway


class Outcome(Enum):
    """What became of a request; the value says it in a report."""

    CHOSEN = "accepted"
    WRONG_GROUP = "INVALID_KE_PAYLOAD"
    REFUSED = "NO_PROPOSAL_CHOSEN"
    COOKIE = "COOKIE"
    REDIRECT = "REDIRECT"
    ERROR = "another error"
    MALFORMED = "malformed"
    SILENT = "no answer"
    CLOSED = "port unreachable"


@dataclass(frozen=True, slots=True)
class Reply:
    """`chosen`: the proposal, of CHOSEN. `group`: the one that the responder wants, of WRONG_GROUP.
    `notify`: the error's type, of ERROR. `why`: of MALFORMED. `seconds`: from the request to the answer.
    """

    outcome: Outcome
    message: Message | None = None
    seconds: float = 0.0
    chosen: Proposal | None = None
    group: int = 0
    cookie: bytes = b""
    gateway: Gateway | None = None
    notify: int = 0
    why: str = ""
    octets: bytes = field(default=b"", repr=False)

    @property
    def acceptable(self) -> bool | None:
        """Whether something of the offer is acceptable; None if the answer doesn't say."""
        return {Outcome.CHOSEN: True, Outcome.WRONG_GROUP: True, Outcome.REFUSED: False}.get(self.outcome)

    def words(self) -> str:
        """The answer, for people."""
        if self.outcome is Outcome.ERROR:
            return notify_name(self.notify)
        return f"{self.outcome.value}: {self.why}" if self.why else self.outcome.value


SILENCE = Reply(Outcome.SILENT)
CLOSED = Reply(Outcome.CLOSED)


def notify_name(notify: int) -> str:
    """The registry's name, or the number."""
    try:
        return NotifyType(notify).name
    except ValueError:
        return f"notify {notify}"


def read(datagram: bytes, seconds: float) -> Reply:
    """What a response to IKE_SA_INIT says; whatever it is, it is a value."""
    try:
        message = decode_message(datagram)
        return _read(message, seconds, datagram)
    except WireError as error:
        return Reply(Outcome.MALFORMED, seconds=seconds, why=str(error), octets=datagram)


def _read(message: Message, seconds: float, datagram: bytes) -> Reply:
    found = [one for one in message.payloads if isinstance(one, NotifyPayload)]
    for one in found:
        match one.notify:
            case NotifyType.COOKIE if not any(isinstance(o, SaPayload) for o in message.payloads):
                return Reply(Outcome.COOKIE, message, seconds, cookie=one.data, octets=datagram)
            case NotifyType.REDIRECT:
                gateway = decode_gateway(one.data)[0]
                return Reply(Outcome.REDIRECT, message, seconds, gateway=gateway, octets=datagram)
            case NotifyType.INVALID_KE_PAYLOAD:
                group = int.from_bytes(one.data, "big")
                return Reply(Outcome.WRONG_GROUP, message, seconds, group=group, octets=datagram)
            case NotifyType.NO_PROPOSAL_CHOSEN:
                return Reply(Outcome.REFUSED, message, seconds, octets=datagram)
            case number if number < FIRST_STATUS_NOTIFY:
                return Reply(Outcome.ERROR, message, seconds, notify=number, octets=datagram)
    sa = next((one for one in message.payloads if isinstance(one, SaPayload)), None)
    if sa is None or not any(isinstance(one, KePayload) for one in message.payloads):
        return Reply(
            Outcome.MALFORMED, message, seconds, why="neither SA and KE nor an error", octets=datagram
        )
    if len(sa.proposals) != 1:
        why = f"{len(sa.proposals)} proposals in an answer"
        return Reply(Outcome.MALFORMED, message, seconds, why=why, octets=datagram)
    return Reply(Outcome.CHOSEN, message, seconds, chosen=sa.proposals[0], octets=datagram)
