"""What a page may do: which actions a lab offers, and what their forms may hold."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from ikepy.lab.bed import Lab
from ikepy.lab.state import Options
from ikepy.web.lab.action_list import ACTIONS
from ikepy.web.lab.actions import Actions
from ikepy.web.lab.meddler import Meddler, Order, Verb
from ikepy.web.window import RefusedError


class Orders:
    """In the place of a meddler: it only takes orders."""

    def __init__(self) -> None:
        self.given: list[Order] = []

    async def order(self, order: Order) -> None:
        self.given.append(order)


def actions(options: Options) -> tuple[Actions, Orders]:
    orders = Orders()
    return Actions(Lab(options), cast(Meddler, orders)), orders


def offered(options: Options) -> set[str]:
    return {action.name for action in actions(options)[0].offered()}


def test_what_a_lab_offers() -> None:
    every = {action.name for action in ACTIONS}
    assert offered(Options(nat=True)) == every
    assert offered(Options()) == every - {"rebind"}
    assert "wrong_psk" not in offered(Options(auth="pubkey"))
    assert not offered(Options(peer="strongswan")) & {"wrong_psk", "selectors", "rekey_both", "kill_worker"}


def test_every_action_has_a_function_and_says_why() -> None:
    for action in ACTIONS:
        assert action.why.endswith((".", ")"))


@pytest.mark.parametrize("verb", list(Verb))
def test_orders_to_the_meddler(verb: Verb) -> None:
    done, orders = actions(Options())
    form = {"action": verb.value, "count": 3, "what": "ESP", "milliseconds": 250}
    told = asyncio.run(done.do(form))
    assert told == f"{verb} the next 3 ESP packets on the internet"
    assert orders.given == [Order(verb, "ESP", 3, 0.25 if verb is Verb.DELAY else 0.0)]


def test_what_is_left_out_has_its_default() -> None:
    done, orders = actions(Options())
    asyncio.run(done.do({"action": "drop"}))
    assert orders.given == [Order(Verb.DROP, "IKE", 1)]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"action": "rebind"},  # there is no NAT
        {"action": ["drop"]},
        {"action": "drop", "count": 0},
        {"action": "drop", "count": 51},
        {"action": "drop", "count": "3"},
        {"action": "drop", "count": True},
        {"action": "drop", "count": 1.5},
        {"action": "drop", "what": "all"},
        {"action": "drop", "what": None},
        {"action": "delay", "milliseconds": 10**9},
        {"action": "rekey_child", "end": "site"},
    ],
)
def test_refused(form: dict[str, object]) -> None:
    done, orders = actions(Options())
    with pytest.raises(RefusedError):
        asyncio.run(done.do(form))
    assert orders.given == []
