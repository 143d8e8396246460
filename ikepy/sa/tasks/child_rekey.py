"""CREATE_CHILD_SA that replaces a child (RFC 7296 1.3.3 and 2.8), when the peer asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ikepy.errors import PeerError
from ikepy.sa import child_negotiation
from ikepy.sa.child import ChildState
from ikepy.sa.effects import Event, Level, Topic
from ikepy.wire.constants import NotifyType, ProtocolId
from ikepy.wire.payloads import NotifyPayload, Payload

from .child_create import respond_with
from .task import Answer

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


def respond(sa: IkeSa, rekey: NotifyPayload, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer REKEY_SA, whose SPI is the one that the peer receives under: our outbound one.

    The new outbound SA waits until the peer deletes the old child or sends under the new one: only then it is
    sure to be ready (RFC 7296 2.8). PeerError CHILD_SA_NOT_FOUND or TEMPORARY_FAILURE if it can't be had.
    """
    if rekey.protocol != ProtocolId.ESP or len(rekey.spi) != 4:
        raise PeerError(NotifyType.INVALID_SYNTAX, "REKEY_SA names no ESP SA")
    old = sa.child_by_outbound(int.from_bytes(rekey.spi, "big"))
    if old is None or old.state is ChildState.DELETED:
        raise PeerError(NotifyType.CHILD_SA_NOT_FOUND, f"no child {rekey.spi.hex()} to rekey")
    if old.state is not ChildState.INSTALLED:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, f"{old.config.name} #{old.child_id} is being deleted")
    choice = child_negotiation.choose(sa, payloads, key_exchange=True, only=old.config)
    new, answer = respond_with(sa, choice, payloads, now, standby=True)
    old.state = ChildState.REKEYED
    old.replaced_by = new.child_id
    text = f"{old.config.name} #{old.child_id} rekeyed as #{new.child_id}"
    event = Event(Topic.CHILD_REKEYED, sa.connection.name, sa.ike_id, old.config.name, new.child_id, text)
    return Answer(answer.payloads, [*answer.before, event, sa.log(Level.INFO, f"CHILD_SA {text}")])
