"""The laws can be broken: a machine or a worker that does wrong is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.crypto.secret import Secret
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Effect,
    InstallInbound,
    InstallOutbound,
    Outcome,
    RemoveChild,
    Send,
)
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.state.ike_sa import IkeSa
from tests.simulation.laws import check_quiet
from tests.simulation.nat import IDLE, Nat
from tests.simulation.plane import Breach, Plane
from tests.simulation.scenario import run
from tests.simulation.sites import ADDRESSES, CHILDREN, OTHER, OUTER, Options
from tests.simulation.world import World

SEEDS = range(40)
HONEST = Plane.run


def established() -> World:
    world = World({"a": Options(dpd_delay=30), "b": Options(dpd_delay=30)}, 1, gentle=True)
    for child in ("net", "second"):
        world.command("a", Initiate("ab", child))
    world.run(5)
    check_quiet(world, {"ab": True})
    return world


def errors(monkeypatch: pytest.MonkeyPatch, twist: object) -> set[str]:
    monkeypatch.setattr(Plane, "run", twist)
    return {result.error for seed in SEEDS if (result := run(seed)).error}


def test_a_worker_that_forgets_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    def twist(plane: Plane, effect: Effect) -> None:
        if not isinstance(effect, RemoveChild):
            HONEST(plane, effect)

    assert any("orphans" in error for error in errors(monkeypatch, twist))


def test_a_worker_that_sends_before_the_peer_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def twist(plane: Plane, effect: Effect) -> None:
        if isinstance(effect, InstallOutbound):
            effect = replace(effect, standby=False)
        HONEST(plane, effect)

    assert any("can't decrypt" in error for error in errors(monkeypatch, twist))


def test_a_worker_that_removes_with_the_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seconds for which an old inbound SA stays, packets under way are lost."""

    def twist(plane: Plane, effect: Effect) -> None:
        HONEST(plane, effect)
        if isinstance(effect, ActivateOutbound):
            others = [sa for sa in plane.inbound.values() if sa.child_id < effect.child_id]
            for sa in others:
                HONEST(plane, RemoveChild(sa.child_id))

    assert any("can't decrypt" in error or "a hole" in error for error in errors(monkeypatch, twist))


def test_keys_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    def twist(plane: Plane, effect: Effect) -> None:
        if isinstance(effect, InstallInbound):
            effect = replace(effect, keys=Secret(effect.keys.expose()[::-1]))
        HONEST(plane, effect)

    assert any("can't decrypt" in error for error in errors(monkeypatch, twist))


def test_a_nat_that_gives_another_port() -> None:
    """b is told by the next liveness check; keepalives hold the mapping until then and afterwards."""
    options = Options(natted="a", mobike=False, dpd_delay=100)
    world = World({"a": options, "b": options}, 1, gentle=True)
    for child in CHILDREN:
        world.command("a", Initiate("ab", child))
    world.run(90)
    check_quiet(world, {"ab": True})
    world.rebind("a", OTHER["a"])
    world.run(5)
    with pytest.raises(Breach, match="where nobody is"):
        check_quiet(world, {"ab": True})
    world.run(90)
    check_quiet(world, {"ab": True})


def test_a_machine_that_does_not_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def stay(sa: IkeSa, path: Path) -> list[Effect]:
        return []

    monkeypatch.setattr("ikepy.sa.exchange.path_update.follow", stay)
    found = {result.error for seed in range(400) if (result := run(seed)).error}
    assert any("where nobody is" in error for error in found)
    assert any("gives up a peer that is there" in error for error in found)


def test_a_mapping_that_nothing_renews() -> None:
    nat = Nat(OUTER["a"])
    inner = Endpoint(ADDRESSES["a"], 4500)
    outer = nat.outward(inner, 0.0)
    assert nat.inward(outer, IDLE) == inner
    assert nat.inward(outer, IDLE + 1) is None
    assert nat.outward(inner, IDLE + 1) != outer


def test_an_orphan() -> None:
    world = established()
    spi, inbound = world.sites["a"].plane.inbound.popitem()
    with pytest.raises(Breach, match="gaps"):
        check_quiet(world, {"ab": True})
    world.sites["a"].plane.inbound[spi] = inbound
    world.sites["b"].plane.inbound[99] = inbound
    with pytest.raises(Breach, match="orphans"):
        check_quiet(world, {"ab": True})


def test_ends_that_disagree() -> None:
    world = established()
    world.restart("b")
    with pytest.raises(Breach, match="has nothing"):
        check_quiet(world, {"ab": False})


def test_a_child_that_is_missing() -> None:
    world = World({"a": Options(dpd_delay=30), "b": Options(dpd_delay=30)}, 1, gentle=True)
    world.command("a", Initiate("ab", "net"))
    world.run(5)
    check_quiet(world, {"ab": False})
    with pytest.raises(Breach, match="is up"):
        check_quiet(world, {"ab": True})


def test_one_ike_sa_too_many_is_given_the_time_to_go() -> None:
    """Reauthentications that cross: the redundant one stays until its peer has heard of the other's children.

    That is longer than packets are taken under the children of the IKE_SA before them.
    """
    options = Options(unique="replace", dpd_delay=30)
    world = World({"a": options, "b": options}, 2, gentle=False)
    world.command("a", Initiate("ab", "net"))
    world.run(5)
    for name in "ab":
        world.command(name, Rekey(ike="ab", reauth=True))
    world.run(8)
    with pytest.raises(Breach, match="2 IKE_SAs"):
        check_quiet(world, {"ab": False})
    assert not any(site.still for site in world.sites.values())  # it waits to delete, or for that
    world.run(10)
    assert world.still
    check_quiet(world, {"ab": False})


def test_an_sa_without_a_deadline() -> None:
    world = World({"a": Options(), "b": Options()}, 1, gentle=True)
    world.command("a", Initiate("ab", "net"))
    world.run(5)
    with pytest.raises(Breach, match="no deadline"):
        check_quiet(world, {"ab": False})


def test_a_message_id_for_two_contents() -> None:
    world = established()
    site = world.sites["a"]
    sealed = next(data for _, _, data, _ in world.ladder if data and data[16] == 46)
    path = Path(Endpoint(ADDRESSES["a"], 500), Endpoint(ADDRESSES["b"], 500))
    world.apply(site, [Send(path, sealed)])
    with pytest.raises(Breach, match="two contents"):
        world.apply(site, [Send(path, sealed[:-1] + b"x")])
    other = bytearray(sealed)
    other[23] += 100  # the message ID
    with pytest.raises(Breach, match="IV"):
        world.apply(site, [Send(path, bytes(other))])


def test_a_command_with_two_outcomes_and_one_with_none() -> None:
    world = established()
    site = world.sites["a"]
    with pytest.raises(Breach, match="two outcomes"):
        world.apply(site, [Outcome(1, True, "")])
    site.asked.add(99)
    with pytest.raises(Breach, match="no outcome"):
        check_quiet(world, {"ab": True})


def test_a_child_that_is_told_to_be_what_it_is_not() -> None:
    world = established()
    site = world.sites["a"]
    site.wishes |= {97: ("ab", "net"), 98: ("ab", "net"), 99: ("ab", "net")}
    world.apply(site, [Outcome(97, True, "")])
    with pytest.raises(Breach, match="which is not so"):
        world.apply(site, [Outcome(98, False, "")])
    site.plane.lose(set(site.plane.outbound))
    with pytest.raises(Breach, match="which is not so"):
        world.apply(site, [Outcome(99, True, "")])


def test_an_spi_that_comes_twice() -> None:
    plane = established().sites["a"].plane
    inbound = next(iter(plane.inbound.values()))
    with pytest.raises(Breach, match="second time"):
        plane.run(replace(inbound, keys=Secret(bytes(len(inbound.keys)))))
    with pytest.raises(Breach, match="second time"):
        plane.run(replace(inbound, spi=77))
