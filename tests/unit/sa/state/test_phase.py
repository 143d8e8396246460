"""ikepy.sa.state.phase: which phase follows which, and what a peer may ask for in each."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ikepy.sa.state.phase import BETWEEN_ROUNDS, FOLLOWS, PERMITTED, Phase
from ikepy.wire.constants import ExchangeType


def test_both_tables_have_every_phase() -> None:
    """In CONNECTING a plan says what a peer may ask for."""
    assert set(FOLLOWS) == {*PERMITTED, Phase.CONNECTING} == set(Phase)
    assert Phase.CONNECTING not in PERMITTED


@pytest.mark.parametrize(
    "life",
    [
        (Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED, Phase.DELETING, Phase.DEAD),
        (Phase.CREATED, Phase.ESTABLISHED, Phase.REKEYED, Phase.DEAD),  # made by a rekey, and rekeyed
        (Phase.ESTABLISHED, Phase.REKEYED, Phase.DELETING, Phase.DEAD),  # our own rekey
        (Phase.DELETING, Phase.REKEYED, Phase.DEAD),  # colliding rekeys
    ],
)
def test_lives(life: tuple[Phase, ...]) -> None:
    assert all(after in FOLLOWS[before] for before, after in pairwise(life))


def test_every_phase_may_end_and_none_follows_the_end() -> None:
    assert all(Phase.DEAD in FOLLOWS[phase] for phase in Phase if phase is not Phase.DEAD)
    assert FOLLOWS[Phase.DEAD] == frozenset()


def test_what_was_established_is_never_set_up_again() -> None:
    for phase in (Phase.ESTABLISHED, Phase.REKEYED, Phase.DELETING):
        assert not FOLLOWS[phase] & {Phase.CREATED, Phase.CONNECTING, Phase.ESTABLISHED}


def test_a_peer_authenticates_before_anything_else() -> None:
    assert {ExchangeType.INFORMATIONAL} == BETWEEN_ROUNDS
    for phase in (Phase.ESTABLISHED, Phase.REKEYED, Phase.DELETING):
        assert PERMITTED[phase] == {
            ExchangeType.CREATE_CHILD_SA,
            ExchangeType.IKE_FOLLOWUP_KE,
            ExchangeType.INFORMATIONAL,
        }
    assert not PERMITTED[Phase.CREATED] | PERMITTED[Phase.DEAD]
