"""Sends notifies in INFORMATIONAL requests, and logs those that the peer sends (RFC 7296 1.4, 1.5, 3.10.1).

INVALID_SPI, INVALID_SELECTORS and the like report a problem; they change no SA.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.message import query
from ikepy.sa.state.event_text import packet_text
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload


class SendNotify(Task[IkeSa]):
    """Sends one notify; the response is an empty acknowledgement."""

    kind = TaskKind.NOTIFY
    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, notify: NotifyPayload) -> None:
        self._notify = notify

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [self._notify]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return []


def heard(sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
    """Log an error that the peer reports in a request, for instance about our packets; rate-limited."""
    notify = query.notify(payloads, NotifyType.INVALID_SELECTORS) or query.error(payloads)
    if notify is None or not sa.report_rate.allow(now):
        return []
    if notify.notify != NotifyType.INVALID_SELECTORS:
        return [sa.log(Level.WARNING, f"the peer reports {query.error_name(notify)}")]
    child = sa.children.by_outbound_spi(int.from_bytes(notify.spi, "big"))
    name = "an unknown child" if child is None else f"{child.config.name} #{child.child_id}"
    text = f"the peer refuses {packet_text(notify.data)} under {name} (INVALID_SELECTORS)"
    return [sa.log(Level.WARNING, text)]
