"""Several IKE_SAs with one peer: who began them, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.config.identity import Identity
from ikepy.daemon.diagnosis.duplicates import several

from .bed import SA, connection


@pytest.mark.parametrize(
    ("initiators", "who", "why"),
    [
        ((True, False, True), "2 begun here, 1 by the peer", "Both ends start."),
        ((False, False, False), "all begun by the peer", "takes one for each child"),
        ((True, True, True), "all begun here", "Commands began them"),
    ],
)
def test_who_began(initiators: tuple[bool, ...], who: str, why: str) -> None:
    sas = [replace(SA, initiator=one, established_at=10.0) for one in initiators]
    (told,) = several(sas, connection(), 70.0)
    assert told.what == f"There are 3 IKE_SAs with gwb, {who}, the oldest 60 s ago."
    assert why in told.why
    assert 'connections.a.unique = "replace" (it is "no")' in told.do
    (told,) = several(sas, connection(unique="replace"), 70.0)
    assert "Look at the log" in told.do


def test_one_for_each_peer_or_for_a_moment() -> None:
    sas = [replace(SA, remote_id=Identity.parse(name), established_at=10.0) for name in ("b", "c")]
    assert not list(several(sas, connection(), 70.0))
    assert not list(several([sas[0], sas[0]], connection(), 11.0))


def test_users_behind_one_identity_are_several_peers() -> None:
    """Clients of Windows send the address of their private network, which many have."""
    address = replace(SA, initiator=False, remote_id=Identity.parse("192.168.1.5"), established_at=10.0)
    sas = [replace(address, eap_id=user) for user in ("alice", "bob")]
    assert not list(several(sas, connection(), 70.0))
    (told,) = several([*sas, replace(address, eap_id="Alice")], connection(), 70.0)
    assert told.what.startswith("There are 2 IKE_SAs with alice,")


def test_of_another_identity_of_ours_it_is_another_pair() -> None:
    sas = [replace(SA, local_id=Identity.parse(name), established_at=10.0) for name in ("gw1", "gw2")]
    assert not list(several(sas, connection(), 70.0))


def test_peers_that_may_share_an_identity() -> None:
    sas = [replace(SA, established_at=10.0)] * 3
    assert not list(several(sas, connection(unique="never"), 70.0))
