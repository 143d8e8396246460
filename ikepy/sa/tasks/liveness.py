"""Checks whether the peer is alive by an empty INFORMATIONAL exchange (RFC 7296 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.effects import Effect
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.tasks import mobike
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload


class Liveness(Task[IkeSa]):
    """Any response will do; the window notices if there is none."""

    kind = TaskKind.LIVENESS
    exchange = ExchangeType.INFORMATIONAL

    def about(self, sa: IkeSa) -> frozenset[str]:
        return frozenset()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return mobike.probe(sa)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        mobike.probed(sa, payloads)
        return []
