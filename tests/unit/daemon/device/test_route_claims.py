"""Who has the route to a network that several of our devices want."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.model import Config
from ikepy.daemon.device.route_claims import Claim, granted
from tests.unit.daemon.device.test_devices import Bed
from tests.unit.daemon.fakes import NETS, PATH, SUITE, connection

LIVE, DEAD = Claim(0, True, False), Claim(0, False, False)
HOLDS, DEAD_HOLDS = Claim(0, True, True), Claim(0, False, True)
BEST, SECOND = Claim(10, True, False), Claim(20, True, False)
BEST_DEAD, SECOND_DEAD = Claim(10, False, True), Claim(20, False, True)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([LIVE], [True]),
        ([DEAD], [True]),
        ([LIVE, LIVE], [True, False]),
        ([LIVE, HOLDS], [False, True]),
        ([HOLDS, LIVE], [True, False]),
        ([DEAD, LIVE], [False, True]),
        ([DEAD_HOLDS, LIVE], [False, True]),
        ([DEAD, DEAD_HOLDS], [False, True]),
        ([DEAD, DEAD], [True, False]),
        ([BEST, SECOND], [True, True]),
        ([BEST_DEAD, SECOND], [False, True]),
        ([BEST, SECOND_DEAD], [True, False]),
        ([BEST_DEAD, SECOND_DEAD], [True, True]),
    ],
)
def test_who_has_it(claims: list[Claim], expected: list[bool]) -> None:
    assert granted(claims) == expected


@given(st.lists(st.builds(Claim, st.integers(0, 2), st.booleans(), st.booleans()), min_size=1))
def test_it_leads_somewhere_and_to_the_living_and_one_of_a_metric(claims: list[Claim]) -> None:
    given_to = [claim for claim, has in zip(claims, granted(claims), strict=True) if has]
    assert given_to
    assert all(claim.live for claim in given_to) or not any(claim.live for claim in claims)
    assert len({claim.metric for claim in given_to}) == len(given_to)


def two(**vti: object) -> Bed:
    """Connections "a" and "b" to the same networks; `vti` is b's. The fake kernel takes a route once."""
    connections = {"a": connection("a"), "b": connection("b", vti)}
    return Bed(Config.model_validate({"connections": connections}))


def networks(bed: Bed) -> tuple[set[str], set[str]]:
    return bed.network.routes["vti-a"], bed.network.routes["vti-b"]


BOTH = {"10.2.0.0/24", "fd02::/64"}


def up(bed: Bed, child_id: int, name: str) -> None:
    bed.devices.child_up(child_id, name, NETS, PATH, False, SUITE)


def test_the_second_has_it_the_moment_the_first_goes() -> None:
    with two() as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        assert networks(bed) == (BOTH, set())
        bed.devices.child_down(1, "a")
        assert networks(bed) == (set(), BOTH)
        up(bed, 3, "a")
        assert networks(bed) == (set(), BOTH), "it does not jump back"


def test_with_another_metric_both_stand() -> None:
    with two(metric=20) as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        assert networks(bed) == (BOTH, BOTH)
        assert {route.metric for route in bed.network.table["vti-b"]} == {20}


def test_configured_routes_follow_the_one_that_carries() -> None:
    """And none of them goes while nothing does: packets would leave by another way, in the clear."""
    route = {"routes": ["10.2.0.0/24"]}
    connections = {"a": connection("a", route), "b": connection("b", route)}
    with Bed(Config.model_validate({"connections": connections})) as bed:
        one = {"10.2.0.0/24"}
        assert networks(bed) == (one, set())
        up(bed, 1, "b")
        assert networks(bed) == (set(), one)
        up(bed, 2, "a")
        assert networks(bed) == (set(), one)
        bed.devices.child_down(1, "b")
        assert networks(bed) == (one, set())
        bed.devices.child_down(2, "a")
        assert networks(bed) == (one, set())


def test_a_device_that_was_taken_down_carries_nothing() -> None:
    with two() as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        bed.network.table["vti-a"].clear()  # by the kernel
        bed.devices.taken_down(bed.devices.of("a"), True)
        assert networks(bed) == (set(), BOTH)
