"""ikepy.sa.state.registry: which of many IKE_SAs is found by what."""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from itertools import pairwise

import pytest

from ikepy.config.identity import Identity
from ikepy.config.toml_source import parse
from ikepy.errors import LocalMisuse
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.phase import FOLLOWS, Phase
from ikepy.sa.state.registry import SaRegistry
from ikepy.sa.state.replacement import Rekeyed
from ikepy.wire.constants import IdType

PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("192.0.2.2"), 500))


class Entropy:
    """Enough of it to make IKE_SAs."""

    def __init__(self) -> None:
        self._source = random.Random(1)

    def random(self, n: int) -> bytes:
        return self._source.randbytes(n)

    def uniform(self) -> float:
        return 0.5

    def child_spi(self, connection: str) -> int:
        return 256


def shared() -> Registry:
    """Two connections with the same identities, one with others."""
    texts = [
        f'[connections.{name}]\nlocal.id = "{local}"\nremote.id = "gwb"\nremote_addrs = ["192.0.2.2"]\n'
        f"[connections.{name}.children.net]\n"
        for name, local in (("one", "gwa"), ("two", "gwa"), ("other", "gwo"))
    ]
    return SaRegistry(parse("".join(texts) + '[secrets.ike]\nsecret = "s3cr3t"\n'), Entropy())


def ike_sa(table: Registry, connection: str) -> IkeSa:
    return IkeSa(
        table,
        table.config.connections[connection],
        PATH,
        spi_i=table.ike_spi(),
        spi_r=bytes(8),
        initiator=True,
    )


def added(table: Registry, connection: str, phase: Phase = Phase.CONNECTING) -> IkeSa:
    sa = ike_sa(table, connection)
    sa.enter(phase)
    table.add(sa)
    return sa


def established(table: Registry, connection: str, peer: str) -> IkeSa:
    sa = added(table, connection)
    sa.local_id, sa.remote_id = Identity(IdType.FQDN, b"gwa"), Identity(IdType.FQDN, peer.encode())
    sa.establish(0.0)
    return sa


def test_duplicates_have_the_same_identities() -> None:
    table = shared()
    first, second, third = (established(table, name, "gwb") for name in ("one", "two", "one"))
    established(table, "one", "gwc")
    assert table.duplicates(first) == [second, third]
    assert table.duplicates(second) == [first, third]
    second.enter(Phase.REKEYED)
    assert table.duplicates(first) == [third]
    table.remove(third)
    assert table.duplicates(first) == []


@pytest.mark.parametrize(
    "users", [("alice", "ALICE", "@alice", " alice", "fqdn:alice"), ("a@x.org", "A@x.ORG")]
)
def test_nobody_is_another_by_writing_its_name_otherwise(users: tuple[str, ...]) -> None:
    table = shared()
    some = [established(table, "one", name) for name in ("gwb", "GWB", "gwB")]
    assert table.duplicates(some[0]) == some[1:]
    for name in users:
        sa = added(table, "one")
        sa.local_id, sa.remote_id, sa.eap_id = some[0].local_id, some[0].remote_id, name
        sa.establish(0.0)
        some.append(sa)
    assert table.siblings(some[3]) == some[:3:-1]
    for sa in some:
        table.remove(sa)
    assert table.duplicates(some[0]) == []


def test_an_ike_sa_is_found_through_all_its_rekeys() -> None:
    """Of those between nothing is kept."""
    table = shared()
    chain = [added(table, "one", Phase.ESTABLISHED) for _ in range(5000)]
    for old, new in pairwise(chain):
        old.enter(Phase.REKEYED)
        old.rekeyed = Rekeyed(60.0, new)
    assert chain[0].successor is chain[-1]
    assert chain[0].rekeyed is not None and chain[0].rekeyed.by is chain[-1]


def test_of_a_connection_the_newest_comes_first() -> None:
    table = shared()
    first, second, dead = (added(table, "one") for _ in range(3))
    added(table, "two")
    dead.enter(Phase.DEAD)
    assert list(table.of_connection("one")) == [second, first]
    table.assign(first, table.config.connections["two"])
    assert first.connection.name == "two"
    assert list(table.of_connection("one")) == [second]
    assert first in table.of_connection("two")
    table.remove(second)
    assert list(table.of_connection("one")) == []
    assert list(table.of_connection("nobody's")) == []


def test_first_contact_is_among_connections_with_the_same_identities() -> None:
    table = shared()
    own = added(table, "one")
    assert table.is_first_contact(own)
    added(table, "other", Phase.ESTABLISHED)
    added(table, "one")  # which is not established: it does not count, unless it is another connection's
    assert table.is_first_contact(own)
    colliding = added(table, "two")
    assert not table.is_first_contact(own)
    colliding.enter(Phase.DEAD)
    assert table.is_first_contact(own)
    added(table, "one", Phase.ESTABLISHED)
    assert not table.is_first_contact(own)


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_follows_by_the_table_alone(phase: Phase) -> None:
    way = {Phase.CREATED: [], Phase.CONNECTING: [Phase.CONNECTING], Phase.DEAD: [Phase.DEAD]}
    stands = [Phase.CONNECTING, Phase.ESTABLISHED]
    for after in Phase:
        sa = ike_sa(shared(), "one")
        for step in way.get(phase, [*stands, phase]):
            sa.enter(step)
        if after is phase or after in FOLLOWS[phase]:
            sa.enter(after)
        else:
            with pytest.raises(LocalMisuse, match=f"{after.value} does not follow {phase.value}"):
                sa.enter(after)
        assert (sa.phase is after) == (after is phase or after in FOLLOWS[phase])
