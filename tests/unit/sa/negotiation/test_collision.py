"""ikepy.sa.negotiation.collision: which of two colliding exchanges is redundant (RFC 7296 2.8.1)."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ikepy.sa.negotiation.collision import Nonces, ours_is_redundant

nonces = st.builds(Nonces, st.binary(min_size=16, max_size=32), st.binary(min_size=16, max_size=32))


@pytest.mark.parametrize(
    ("initiator", "responder", "lowest"),
    [
        (b"\x01" * 16, b"\x02" * 16, b"\x01" * 16),
        (b"\x02" * 16, b"\x01" * 16, b"\x01" * 16),
        (b"\x80" * 16, b"\x7f" * 16, b"\x7f" * 16),  # octets are unsigned
        (b"\x01" * 16, b"\x01" * 17, b"\x01" * 16),  # the shorter of equal beginnings
    ],
)
def test_the_lowest_nonce_is_that_of_octet_strings(initiator: bytes, responder: bytes, lowest: bytes) -> None:
    assert Nonces(initiator, responder).lowest == lowest


def test_the_exchange_with_the_lowest_of_four_nonces_is_redundant() -> None:
    low, high = Nonces(b"\x09" * 16, b"\x01" * 16), Nonces(b"\x02" * 16, b"\x03" * 16)
    assert ours_is_redundant(low, high)
    assert not ours_is_redundant(high, low)


@given(nonces, nonces)
def test_both_ends_agree(ours: Nonces, theirs: Nonces) -> None:
    assume(ours.lowest != theirs.lowest)
    assert ours_is_redundant(ours, theirs) != ours_is_redundant(theirs, ours)
    lowest = min(ours.initiator, ours.responder, theirs.initiator, theirs.responder)
    assert ours_is_redundant(ours, theirs) == (lowest in (ours.initiator, ours.responder))
