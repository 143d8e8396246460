"""Sends the client of an established IKE_SA to another gateway, by an INFORMATIONAL exchange (RFC 5685 5).

The client sets up its children there, and then deletes this IKE_SA.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import DnsName
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.path import Address
from ikepy.sa.exchange import redirecting
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind, outcomes
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload


class SendRedirect(Task[IkeSa]):
    """Tells the client; the response is an empty acknowledgement."""

    kind = TaskKind.NOTIFY
    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, gateway: Address | DnsName, tickets: Sequence[int] = ()) -> None:
        self._gateway = gateway
        self._tickets = list(tickets)

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [redirecting.notify_of(self._gateway)]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        text = f"the client is sent to {self._gateway}"
        return [sa.log(Level.INFO, text), *outcomes(self._tickets, True, text)]

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return outcomes(self._tickets, False, reason)


def obstacle(sa: IkeSa) -> str:
    """Why the peer of an IKE_SA can't be sent elsewhere; "" if it can."""
    if not sa.established or sa.is_ending:
        return "it is not established, or about to end"
    if sa.set_up.ours:
        return "we began it: only the gateway that was asked may send its client elsewhere (RFC 5685 10)"
    if not sa.redirection.followed_by_peer:
        return "its client does not say that it follows redirects"
    if sa.tasks.crowded:
        return "too many commands wait for their turn on it"
    return ""
