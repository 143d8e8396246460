"""Leases of virtual addresses: by identity, kept, bounded; nobody gets what another one uses."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ikepy.config.identity import Identity
from ikepy.config.model import Pool
from ikepy.sa.api.leases import Lease
from ikepy.sa.api.path import Address
from ikepy.sa.state import address_pools
from ikepy.sa.state.address_pools import AddressPools

ALICE, BOB = Identity(2, b"alice"), Identity(2, b"bob")
OUTSIDE = ip_address("10.5.0.9"), ip_address("10.5.0.10")  # of no pool


def pool(name: str, addrs: str) -> Pool:
    return Pool.model_validate({"name": name, "addrs": addrs})


def nobody_follows(ike_id: int) -> bool:
    return False


def given(
    pools: AddressPools, ike_id: int, identity: Identity, wish: str | None = None, version: int = 4
) -> str | None:
    """What `identity` gets and uses from now on."""
    wished = None if wish is None else ip_address(wish)
    found = pools.choose(["p", "q"], identity, version, wished, nobody_follows)
    if found is not None:
        pools.hold(ike_id, ["p", "q"], identity, [found])
    return None if found is None else str(found)


def made(addrs: str = "10.3.0.0/29") -> AddressPools:
    return AddressPools({"p": pool("p", addrs)})


def test_each_gets_its_own() -> None:
    pools = made()
    assert [given(pools, 1, ALICE), given(pools, 2, BOB), given(pools, 3, ALICE)] == [
        "10.3.0.1",
        "10.3.0.2",
        "10.3.0.3",
    ]
    pools.hold(3, [], ALICE, [])
    pools.hold(1, [], ALICE, [])
    assert given(pools, 4, BOB) == "10.3.0.4"
    assert given(pools, 5, Identity(2, b"ALICE")) == "10.3.0.3"
    assert given(pools, 6, ALICE) == "10.3.0.1"


def test_names_are_the_peers_by_type_too() -> None:
    pools = made()
    given(pools, 1, ALICE)
    pools.hold(1, [], ALICE, [])
    assert given(pools, 2, Identity(11, b"alice")) == "10.3.0.2"


def test_who_is_away_longest_loses_first() -> None:
    pools = made("10.3.0.1-10.3.0.2")
    assert [given(pools, 1, ALICE), given(pools, 2, BOB)] == ["10.3.0.1", "10.3.0.2"]
    carol, dave = Identity(2, b"carol"), Identity(2, b"dave")
    assert given(pools, 3, carol) is None
    pools.hold(2, [], BOB, [])
    pools.hold(1, [], ALICE, [])
    assert given(pools, 3, carol) == "10.3.0.2"
    assert given(pools, 4, dave, "10.3.0.2") == "10.3.0.1"
    assert given(pools, 5, ALICE) is None
    assert [(state.online, state.offline) for state in pools.states()] == [(2, 0)]


def test_two_ike_sas_share_one_while_one_follows_the_other() -> None:
    pools = made()
    given(pools, 1, ALICE)
    wish = ip_address("10.3.0.1")
    assert pools.choose(["p"], ALICE, 4, wish, lambda ike_id: ike_id == 1) == wish
    assert pools.choose(["p"], BOB, 4, wish, lambda ike_id: True) != wish
    pools.hold(2, ["p"], ALICE, [wish])
    pools.hold(1, ["p"], ALICE, [])
    assert [lease.online for lease in pools.leases()] == [True]
    assert given(pools, 3, BOB, "10.3.0.1") == "10.3.0.2"


def test_another_configuration() -> None:
    pools = made()
    given(pools, 1, ALICE)
    given(pools, 2, BOB)
    pools.hold(2, [], BOB, [])
    pools.replace({"p": pool("p", "10.4.0.0/29")})
    assert [str(lease.address) for lease in pools.leases()] == ["10.3.0.1"]  # it is in use
    assert given(pools, 3, BOB) == "10.4.0.1"
    pools.replace({"p": pool("p", "10.3.0.0/29")})
    assert given(pools, 4, BOB, "10.3.0.1") == "10.3.0.2"
    pools.replace({})
    for ike_id in (1, 3, 4):
        pools.hold(ike_id, [], ALICE, [])
    assert list(pools.leases()) == []
    assert given(pools, 5, ALICE) is None


def test_one_outside_of_all_pools_is_held_like_others() -> None:
    """As an AAA server may grant it."""
    pools = made()
    pools.hold(1, ["p"], ALICE, [ip_address("192.0.2.7")])
    assert [str(lease.address) for lease in pools.leases()] == ["192.0.2.7"]
    pools.hold(1, ["p"], ALICE, [])
    assert list(pools.leases()) == []


def test_a_large_pool_costs_no_more_than_what_is_used() -> None:
    pools = made("fd03::/64")
    assert given(pools, 1, ALICE, version=6) == "fd03::1"
    assert pools.states()[0].size == 2**31 - 2
    assert given(pools, 2, BOB) is None


def test_memory_is_bounded_by_those_that_are_away() -> None:
    pools = made("10.0.0.0/8")
    for number in range(address_pools.MOST_LEASES + 100):
        who = Identity(2, b"%d" % number)
        assert given(pools, number, who) is not None
        pools.hold(number, ["p"], who, [])
    leases = list(pools.leases())
    assert len(leases) == address_pools.MOST_LEASES
    assert leases[0].identity == Identity(2, b"100")


def test_what_many_have_given_back_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_pools, "MOST_LEASES", 4)
    pools = made("10.0.0.0/8")
    seen = set()
    for number in range(100):
        who = Identity(2, b"%d" % number)
        seen.add(given(pools, number, who))
        pools.hold(number, ["p"], who, [])
    assert None not in seen
    assert len(seen) < 10


def test_what_is_restored_is_what_was_kept() -> None:
    pools = made()
    given(pools, 1, ALICE)
    given(pools, 2, BOB)
    again = made()
    again.restore(pools.leases())
    again.restore([Lease("p", ip_address("10.9.0.1"), ALICE), Lease("x", ip_address("10.3.0.4"), BOB)])
    again.restore([Lease("p", ip_address("10.3.0.1"), BOB)])  # a second one
    assert [(str(one.address), one.identity, one.online) for one in again.leases()] == [
        ("10.3.0.1", ALICE, False),
        ("10.3.0.2", BOB, False),
    ]
    assert given(again, 1, BOB) == "10.3.0.2"


def test_one_that_an_aaa_server_frames_for_two_users_is_in_use_until_both_are_gone() -> None:
    framed = ip_address("10.3.0.1")
    for first, second in ((1, 2), (2, 1)):
        pools = made()
        pools.hold(1, ["p"], ALICE, [framed])
        pools.hold(2, ["p"], BOB, [framed])
        assert [(one.identity, one.online) for one in pools.leases()] == [(BOB, True)]
        pools.hold(first, ["p"], ALICE, [])
        assert given(pools, 3, ALICE, "10.3.0.1") == "10.3.0.2"
        pools.hold(second, ["p"], BOB, [])
        assert given(pools, 4, BOB) == "10.3.0.1"


class Laws(RuleBasedStateMachine):
    """Whatever happens: whoever uses an address keeps it, and shares it only as an AAA server says. It is the
    last one's that got it."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = AddressPools({"p": pool("p", "10.3.0.1-10.3.0.3"), "q": pool("q", "10.4.0.1-10.4.0.2")})
        self.used: dict[int, tuple[Identity, Address]] = {}
        self.owners: dict[Address, Identity] = {}
        self.count = 0

    @rule(
        name=st.sampled_from([b"a", b"b", b"c", b"d"]),
        wish=st.sampled_from([None, "10.3.0.1", "10.3.0.2", "10.4.0.2", "10.5.0.1"]),
        follows=st.booleans(),
    )
    def connect(self, name: bytes, wish: str | None, follows: bool) -> None:
        who = Identity(2, name)
        wished = None if wish is None else ip_address(wish)
        found = self.pools.choose(["p", "q"], who, 4, wished, lambda _: follows)
        if found is None:
            assert len({address for _, address in self.used.values() if address not in OUTSIDE}) == 5
            return
        if any(address == found for _, address in self.used.values()):
            assert follows and found == wished and self.owners[found] == who
        self.hold(who, found)

    def hold(self, who: Identity, address: Address) -> None:
        self.count += 1
        self.pools.hold(self.count, ["p", "q"], who, [address])
        self.used[self.count] = who, address
        self.owners[address] = who

    @rule(
        name=st.sampled_from([b"a", b"b", b"c"]),
        address=st.sampled_from([ip_address("10.3.0.1"), ip_address("10.4.0.2"), *OUTSIDE]),
    )
    def framed(self, name: bytes, address: Address) -> None:
        """An AAA server says which one it is."""
        self.hold(Identity(2, name), address)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.used:
            ike_id = data.draw(st.sampled_from(sorted(self.used)))
            self.pools.hold(ike_id, ["p", "q"], self.used.pop(ike_id)[0], [])

    @rule(data=st.data())
    def rekey(self, data: st.DataObject) -> None:
        if self.used:
            ike_id = data.draw(st.sampled_from(sorted(self.used)))
            who, address = self.used.pop(ike_id)
            self.hold(who, address)
            self.pools.hold(ike_id, ["p", "q"], who, [])

    @rule(addrs=st.sampled_from(["10.3.0.1-10.3.0.3", "10.3.0.2-10.3.0.4"]))
    def reconfigure(self, addrs: str) -> None:
        self.pools.replace({"p": pool("p", addrs), "q": pool("q", "10.4.0.1-10.4.0.2")})
        for _, address in self.used.values():
            owner = self.owners[address]
            assert any(one.address == address and one.identity == owner for one in self.pools.leases())
        self.pools.replace({"p": pool("p", "10.3.0.1-10.3.0.3"), "q": pool("q", "10.4.0.1-10.4.0.2")})

    @rule()
    def restart(self) -> None:
        kept = list(self.pools.leases())
        self.pools = AddressPools({"p": pool("p", "10.3.0.1-10.3.0.3"), "q": pool("q", "10.4.0.1-10.4.0.2")})
        self.pools.restore(kept)
        assert {(one.address, one.identity) for one in self.pools.leases()} == {
            (one.address, one.identity) for one in kept if one.address not in OUTSIDE
        }
        self.used = {}

    @invariant()
    def one_owner_each(self) -> None:
        leases = list(self.pools.leases())
        assert len({one.address for one in leases}) == len(leases)
        online = {(one.identity, one.address) for one in leases if one.online}
        assert online == {(self.owners[address], address) for _, address in self.used.values()}


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
