"""ikepy.sa.setup.half_open: what counts as half-open, how long what failed counts on, and who makes room."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import Daemon
from ikepy.sa.admission.cpu_budget import Charge, CpuBudget
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.auth.authenticator import Failed
from ikepy.sa.setup.half_open import AGED, MEMORY, HalfOpen, Verdict
from ikepy.sa.state.auth_round import AuthRound, Claim
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.phase import Phase
from ikepy.wire.constants import IdType, PayloadType
from ikepy.wire.payloads import IdPayload

from ..state.test_registry import shared

HERE = IPv4Address("192.0.2.1")
ONE, OTHER = Endpoint(ip_address("198.51.100.7"), 500), Endpoint(ip_address("203.0.113.9"), 500)
NEXT_DOOR = Endpoint(ONE.address, 1024)
OFF = {"cookie_threshold": 0, "cookie_threshold_ip": 0, "block_threshold": 0, "init_limit_half_open": 0}


def half_open(**limits: int) -> HalfOpen:
    """With these limits and no others."""
    return HalfOpen(Daemon(**{**OFF, **limits}))


class Peers:
    """What strangers begin: each IKE_SA_INIT makes an IKE_SA."""

    def __init__(self, of: HalfOpen) -> None:
        self.of = of
        self.table: Registry = shared()
        self.budget = CpuBudget(0.25, lambda: 0.5)

    def begin(self, remote: Endpoint = ONE, at: float = 0.0) -> IkeSa:
        sa = IkeSa(
            self.table,
            self.table.config.connections["one"],
            Path(Endpoint(HERE, 500), remote),
            spi_i=self.table.ike_spi(),
            spi_r=self.table.ike_spi(),
            initiator=False,
        )
        sa.enter(Phase.CONNECTING)
        self.of.add(sa, Charge(self.budget, remote, 0.001, at), sa.spi_i)
        return sa

    def between_rounds(self, sa: IkeSa) -> None:
        who = Identity(IdType.FQDN, b"alice")
        claim = Claim(who, IdPayload(PayloadType.ID_I, who.id_type, who.data, bytes(3)), None, 1)
        sa.connecting.auth_round = AuthRound(1, claim, lambda message: Failed("nobody answers"))
        self.of.update(sa, 0.0)

    def authenticated(self, sa: IkeSa, now: float) -> Charge | None:
        sa.enter(Phase.ESTABLISHED)
        sa.established_at = now
        return self.of.update(sa, now)

    def ended(self, sa: IkeSa, now: float) -> Charge | None:
        sa.enter(Phase.DEAD)
        return self.of.update(sa, now)


# -- who is known ----------------------------------------------------------------------------------


def test_a_request_is_known_by_its_spi_and_whence_it_came() -> None:
    peers = Peers(half_open())
    sa = peers.begin()
    assert peers.of.made_by(sa.spi_i, ONE) is sa
    assert peers.of.made_by(sa.spi_i, NEXT_DOOR) is None
    assert peers.of.made_by(bytes(8), ONE) is None


def test_it_is_known_until_its_ike_sa_is_dead_though_that_moves() -> None:
    peers = Peers(half_open())
    sa, stays = peers.begin(), peers.begin()
    sa.path = Path(sa.path.local, OTHER)
    assert peers.of.update(sa, 1.0) is None
    peers.authenticated(sa, 2.0)
    assert peers.of.made_by(sa.spi_i, ONE) is sa
    peers.ended(sa, 3.0)
    assert peers.of.made_by(sa.spi_i, ONE) is None
    assert peers.of.made_by(stays.spi_i, ONE) is stays
    assert peers.ended(sa, 4.0) is None, "once more"


def test_what_we_began_ourselves_is_none_of_theirs() -> None:
    peers = Peers(half_open(cookie_threshold=1))
    theirs = peers.begin()
    peers.authenticated(theirs, 1.0)
    ours = IkeSa(
        peers.table, theirs.connection, theirs.path, spi_i=theirs.spi_i, spi_r=bytes(8), initiator=True
    )
    assert peers.ended(ours, 1.0) is None
    assert peers.of.made_by(theirs.spi_i, ONE) is theirs
    assert peers.of.verdict(OTHER.address, 1.0) is Verdict.SERVE


# -- cookies ---------------------------------------------------------------------------------------


def test_beyond_a_threshold_in_all_everybody_shows_a_cookie() -> None:
    peers = Peers(half_open(cookie_threshold=3))
    peers.begin()
    peers.begin(OTHER)
    assert peers.of.verdict(ONE.address, 0.0) is Verdict.SERVE
    peers.begin(OTHER)
    assert peers.of.verdict(ONE.address, 0.0) is Verdict.COOKIE
    assert peers.of.verdict(HERE, 0.0) is Verdict.COOKIE


def test_beyond_a_threshold_of_an_address_only_that_one_does() -> None:
    peers = Peers(half_open(cookie_threshold_ip=2))
    peers.begin()
    assert peers.of.verdict(ONE.address, 0.0) is Verdict.SERVE
    peers.begin(NEXT_DOOR)
    assert peers.of.verdict(ONE.address, 0.0) is Verdict.COOKIE
    assert peers.of.verdict(OTHER.address, 0.0) is Verdict.SERVE


def test_what_waits_to_be_worked_on_counts() -> None:
    in_all, of_one = half_open(cookie_threshold=3), half_open(cookie_threshold_ip=3)
    assert in_all.verdict(ONE.address, 0.0, 2, 0) is Verdict.SERVE
    assert in_all.verdict(ONE.address, 0.0, 3, 0) is Verdict.COOKIE
    assert of_one.verdict(ONE.address, 0.0, 9, 2) is Verdict.SERVE
    assert of_one.verdict(ONE.address, 0.0, 9, 3) is Verdict.COOKIE
    peers = Peers(of_one)
    peers.begin()
    assert of_one.verdict(ONE.address, 0.0, 0, 1) is Verdict.SERVE
    assert of_one.verdict(ONE.address, 0.0, 0, 2) is Verdict.COOKIE
    peers = Peers(in_all)
    peers.begin()
    assert in_all.verdict(ONE.address, 0.0, 1) is Verdict.SERVE
    assert in_all.verdict(ONE.address, 0.0, 2) is Verdict.COOKIE


def test_without_thresholds_nobody_does() -> None:
    peers = Peers(half_open())
    for _ in range(50):
        peers.begin()
    assert peers.of.verdict(ONE.address, 0.0, 100, 100) is Verdict.SERVE


@pytest.mark.parametrize("limit", ["cookie_threshold", "cookie_threshold_ip"])
def test_what_came_to_nothing_counts_on_and_fades(limit: str) -> None:
    of = half_open(**{limit: 2})
    of.failed(ONE.address, 0.0)
    assert of.verdict(ONE.address, 0.0) is Verdict.SERVE
    of.failed(ONE.address, 0.0)
    of.failed(ONE.address, 0.0)
    assert of.verdict(ONE.address, 0.0) is Verdict.COOKIE
    elsewhere = Verdict.COOKIE if limit == "cookie_threshold" else Verdict.SERVE
    assert of.verdict(OTHER.address, 0.0) is elsewhere
    assert of.verdict(ONE.address, 0.4 * MEMORY) is Verdict.COOKIE, "2.01"
    assert of.verdict(ONE.address, 0.42 * MEMORY) is Verdict.SERVE, "1.97"


@pytest.mark.parametrize("limit", ["cookie_threshold", "cookie_threshold_ip"])
def test_what_fails_and_what_is_open_count_together(limit: str) -> None:
    peers = Peers(half_open(**{limit: 2}))
    peers.begin()
    peers.of.failed(ONE.address, 0.0)
    assert peers.of.verdict(ONE.address, 0.0) is Verdict.COOKIE


# -- how it ends -----------------------------------------------------------------------------------


def test_an_authenticated_peer_counts_no_longer_and_its_charge_is_given_back_once() -> None:
    peers = Peers(half_open(cookie_threshold=1, cookie_threshold_ip=1))
    sa = peers.begin(at=5.0)
    assert peers.of.update(sa, 5.5) is None
    assert peers.of.verdict(ONE.address, 5.5) is Verdict.COOKIE
    assert peers.authenticated(sa, 6.0) == Charge(peers.budget, ONE, 0.001, 5.0)
    assert peers.of.verdict(ONE.address, 6.0) is Verdict.SERVE
    assert peers.authenticated(sa, 7.0) is None
    assert peers.ended(sa, 8.0) is None
    assert peers.of.verdict(ONE.address, 8.0) is Verdict.SERVE


def test_others_of_its_address_count_on() -> None:
    peers = Peers(half_open(cookie_threshold_ip=2))
    sa, *_ = peers.begin(), peers.begin(), peers.begin()
    peers.authenticated(sa, 1.0)
    assert peers.of.verdict(ONE.address, 1.0) is Verdict.COOKIE


def test_one_that_ends_at_once_after_it_was_authenticated_has_not_failed() -> None:
    peers = Peers(half_open(cookie_threshold=1, cookie_threshold_ip=1))
    sa = peers.begin()
    sa.established_at = 1.0
    assert peers.ended(sa, 1.0) is not None
    assert peers.of.made_by(sa.spi_i, ONE) is None
    assert peers.of.verdict(ONE.address, 1.0) is Verdict.SERVE


@pytest.mark.parametrize("limit", ["cookie_threshold", "cookie_threshold_ip"])
def test_one_that_ends_before_counts_as_failed(limit: str) -> None:
    peers = Peers(half_open(**{limit: 1}))
    sa = peers.begin()
    assert peers.ended(sa, 100.0) is None
    assert peers.of.made_by(sa.spi_i, ONE) is None
    assert peers.of.verdict(ONE.address, 100.0) is Verdict.COOKIE, "at first"
    assert peers.of.verdict(ONE.address, 100.1) is Verdict.SERVE


# -- making room -----------------------------------------------------------------------------------


def test_the_oldest_of_an_address_that_a_peer_would_have_gone_on_with_go() -> None:
    peers = Peers(half_open(block_threshold=2))
    first, second = peers.begin(), peers.begin(NEXT_DOOR, 1.0)
    peers.begin(OTHER)
    assert peers.of.crowded_out(ONE.address, AGED - 0.1) == []
    assert peers.of.crowded_out(ONE.address, AGED) == [], "one has aged: with another it makes two"
    assert peers.of.crowded_out(ONE.address, AGED + 1.0) == [first]
    third = peers.begin(at=2.0)
    assert peers.of.crowded_out(ONE.address, AGED + 2.0) == [first, second]
    assert peers.of.crowded_out(OTHER.address, AGED + 2.0) == []
    assert third.phase is Phase.CONNECTING


def test_those_that_may_yet_go_on_are_left_alone_however_many_they_are() -> None:
    peers = Peers(half_open(block_threshold=4))
    for at in (0.0, 0.0, 1.0, 1.0, 1.0):
        peers.begin(at=at)
    assert peers.of.crowded_out(ONE.address, AGED) == [], "two have aged, of four that may be there"
    assert peers.of.crowded_out(HERE, AGED) == []


def test_without_a_block_threshold_none_goes() -> None:
    peers = Peers(half_open())
    peers.begin()
    peers.begin()
    assert peers.of.crowded_out(ONE.address, 2 * AGED) == []


def test_beyond_the_limit_in_all_the_oldest_of_all_goes_whoever_comes() -> None:
    peers = Peers(half_open(init_limit_half_open=3))
    first, second = peers.begin(), peers.begin(OTHER)
    assert peers.of.crowded_out(HERE, 0.0) == []
    peers.begin()
    assert peers.of.crowded_out(HERE, 0.0) == [first]
    peers.ended(first, 0.0)
    peers.begin()
    assert peers.of.crowded_out(HERE, 0.0) == [second]


def test_what_goes_for_its_address_makes_room_in_all() -> None:
    peers = Peers(half_open(block_threshold=2, init_limit_half_open=3))
    first, second, third = peers.begin(), peers.begin(), peers.begin(OTHER)
    assert peers.of.crowded_out(ONE.address, AGED) == [first]
    fourth = peers.begin(OTHER)
    assert peers.of.crowded_out(ONE.address, AGED) == [first, second]
    assert peers.of.crowded_out(OTHER.address, AGED) == [third, first]
    assert fourth.phase is Phase.CONNECTING


def test_whoever_logs_in_goes_last() -> None:
    """A user who confirms on a phone takes longer than AGED, and others begin from the same address."""
    peers = Peers(half_open(block_threshold=2))
    user, first, second = peers.begin(), peers.begin(), peers.begin()
    peers.between_rounds(user)
    assert peers.of.crowded_out(ONE.address, AGED) == [first, second]
    peers = Peers(half_open(init_limit_half_open=4))
    user, first, second, third = (peers.begin() for _ in range(4))
    peers.between_rounds(user)
    assert peers.of.crowded_out(HERE, 0.0) == [first]
    peers.between_rounds(first)
    assert peers.of.crowded_out(HERE, 0.0) == [second]
    peers.between_rounds(second)
    assert peers.of.crowded_out(HERE, 0.0) == [user], "strangers get as far, and no more than half is kept"
    peers.ended(second, 0.0)
    peers.begin()
    assert peers.of.crowded_out(HERE, 0.0) == [third]
