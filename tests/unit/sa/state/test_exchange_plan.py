"""ikepy.sa.state.exchange_plan and connecting: what comes next in a set-up, and what of it stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from ikepy.errors import LocalMisuse
from ikepy.sa.state.exchange_plan import ExchangePlan
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.task import Answer, Task
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload

from .test_registry import added, shared


@dataclass
class Further:
    """An exchange that is planned, and never takes place."""

    exchange: ExchangeType

    def initiate(self) -> Task[IkeSa]:
        raise NotImplementedError

    def respond(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
        raise NotImplementedError


def test_ike_auth_is_all_that_the_usual_plan_has() -> None:
    plan: ExchangePlan[IkeSa] = ExchangePlan()
    for _ in range(3):
        assert plan.next is None
        assert plan.permitted is ExchangeType.IKE_AUTH
        plan.advance()  # it may take several rounds


def test_further_exchanges_come_one_after_the_other() -> None:
    one, other = Further(ExchangeType.IKE_INTERMEDIATE), Further(ExchangeType.INFORMATIONAL)
    plan: ExchangePlan[IkeSa] = ExchangePlan([one, other])
    assert (plan.next, plan.permitted) == (one, ExchangeType.IKE_INTERMEDIATE)
    plan.advance()
    assert (plan.next, plan.permitted) == (other, ExchangeType.INFORMATIONAL)
    plan.advance()
    assert (plan.next, plan.permitted) == (None, ExchangeType.IKE_AUTH)


@pytest.mark.parametrize("phase", [Phase.ESTABLISHED, Phase.DEAD])
def test_what_a_set_up_knows_goes_with_it(phase: Phase) -> None:
    sa = added(shared(), "one", Phase.CONNECTING)
    sa.connecting.init.nonce_i = bytes(32)
    sa.connecting.give_up_at = 10.0
    assert sa.gives_up_at == 10.0
    sa.enter(phase)
    with pytest.raises(LocalMisuse):
        assert sa.connecting
    assert sa.gives_up_at is None
    assert sa.auth_round is None


def test_only_the_plan_lets_a_request_in_before_ike_auth() -> None:
    sa = added(shared(), "one", Phase.CONNECTING)
    assert sa.permitted == frozenset(), "an initiator waits for responses"
    sa.initiator = False
    sa.connecting.plan = ExchangePlan([Further(ExchangeType.IKE_INTERMEDIATE)])
    assert sa.permitted == {ExchangeType.IKE_INTERMEDIATE}
    assert sa.drops(ExchangeType.IKE_AUTH, repeated=False)
    assert not sa.drops(ExchangeType.IKE_INTERMEDIATE, repeated=False)
    assert sa.drops(ExchangeType.IKE_INTERMEDIATE, repeated=True), "nothing was answered yet"
    sa.connecting.plan.advance()
    assert sa.permitted == {ExchangeType.IKE_AUTH}
