"""ikepy.sa.lifecycle.uniqueness: which of two IKE_SAs is redundant that both ends set up at once."""

from __future__ import annotations

import pytest

from ikepy.sa.lifecycle.uniqueness import crossed, redundant
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.set_up import SetUp

from ..state.test_registry import ike_sa, shared


def set_up(ours: bool, began: float, ended: float, nonce: bytes = b"\x01") -> IkeSa:
    sa = ike_sa(shared(), "one")
    sa.set_up = SetUp(ours, began, ended, nonce)
    return sa


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (set_up(True, 0.0, 2.0), set_up(False, 1.0, 3.0), True),
        (set_up(True, 1.0, 2.0), set_up(False, 0.0, 3.0), True),  # one within the other
        (set_up(True, 0.0, 2.0), set_up(True, 1.0, 3.0), False),  # both from one end
        (set_up(False, 0.0, 2.0), set_up(False, 1.0, 3.0), False),
        (set_up(True, 0.0, 1.0), set_up(False, 2.0, 3.0), False),  # one after the other
        (set_up(True, 0.0, 1.0), set_up(False, 1.0, 2.0), False),
    ],
)
def test_set_ups_cross_if_they_overlap_from_both_ends(one: IkeSa, other: IkeSa, expected: bool) -> None:
    assert crossed(one, other) is expected
    assert crossed(other, one) is expected


def test_the_lowest_nonce_is_redundant_whichever_way_it_is_asked() -> None:
    low, high = set_up(True, 0.0, 2.0, b"\x01\xff"), set_up(False, 0.0, 2.0, b"\x02")
    assert redundant(low, high) is redundant(high, low) is low
