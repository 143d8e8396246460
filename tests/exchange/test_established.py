"""Afterwards: deletes, liveness, further children, rekeys asked for by the peer (RFC 7296 1.3 to 2.8)."""

import pytest

from esp.packet.selectors import Selector
from ikepy.sa.api.commands import Acquire, ChildrenLost, Initiate, SequenceLow, Shutdown, Terminate
from ikepy.sa.api.events import ChildDown, IkeDown
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task
from ikepy.wire.constants import KeGroup, NotifyType

from .network import Network, Options, assert_joined, duplicate, joined, lose
from .rekeying_peer import RekeyChild, RekeyIke

TWO_CHILDREN = Options(
    local_ts='["10.1.0.0/24"]',
    remote_ts='["10.1.0.0/24"]',
    more="""
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
esp_proposals = ["aes128gcm16-x25519-ecp256", "aes128gcm16"]
""",
)


def established(a: Options | None = None, b: Options | None = None) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    net.ladder.clear()
    return net


def ike_sa(net: Network, name: str) -> IkeSa:
    manager = net.site(name).manager
    sa = manager.find(manager.list_sas(net.now)[0].ike_id)
    assert sa is not None
    return sa


def do(net: Network, name: str, task: Task[IkeSa]) -> None:
    """Let one end begin a task."""
    sa = ike_sa(net, name)
    sa.enqueue(task)
    net.run_effects(name, net.site(name).manager.proceed(sa, net.now))


@pytest.mark.parametrize("who", ["a", "b"])
def test_delete_of_the_ike_sa(who: str) -> None:
    net = established()
    net.command(who, Terminate(ike="ab", ticket=9))
    net.run()
    assert net.site(who).outcomes[9].ok
    assert len(net.ladder) == 2
    assert net.a.manager.idle
    assert net.b.manager.idle
    assert not net.a.plane.inbound
    assert not net.b.plane.outbound


@pytest.mark.parametrize("who", ["a", "b"])
def test_delete_of_a_child(who: str) -> None:
    net = established()
    net.command(who, Terminate(child="net", ticket=9))
    net.run()
    assert net.site(who).outcomes[9].ok
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound
    assert not net.a.manager.idle
    assert not net.b.manager.idle


def test_both_delete_the_same_child_at_once() -> None:
    net = established()
    net.command("a", Terminate(child="net", ticket=2))
    net.command("b", Terminate(child="net", ticket=3))
    net.run()
    assert net.a.outcomes[2].ok
    assert net.b.outcomes[3].ok
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound
    assert len(net.ladder) == 4


def test_both_delete_the_ike_sa_at_once() -> None:
    net = established()
    net.command("a", Terminate(ike="ab", ticket=2))
    net.command("b", Terminate(ike="ab", ticket=3))
    net.run(10)
    assert net.a.outcomes[2].ok
    assert net.b.outcomes[3].ok
    assert net.a.manager.idle
    assert net.b.manager.idle


def test_nothing_to_terminate() -> None:
    net = established()
    net.command("a", Terminate(ike="other", ticket=2))
    assert not net.a.outcomes[2].ok


@pytest.mark.parametrize("message", ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"])
@pytest.mark.parametrize("disturb", [lose, duplicate])
def test_a_delete_is_lost_or_repeated(message: str, disturb: object) -> None:
    net = established()
    net.script = lose(message) if disturb is lose else duplicate(message)
    net.command("a", Terminate(child="net", ticket=9))
    net.run(20)
    assert net.a.outcomes[9].ok
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


def test_shutdown_tells_the_peer() -> None:
    net = established()
    net.command("a", Shutdown())
    net.run()
    assert net.a.manager.idle
    assert net.b.manager.idle
    net.command("a", Initiate("ab", "net", ticket=5))
    assert not net.a.outcomes[5].ok


def test_liveness_is_asked_and_answered() -> None:
    net = established(Options(connection="dpd_delay = 10"), Options())
    net.run(25)
    assert net.ladder == [
        "a -> b INFORMATIONAL request 2",
        "b -> a INFORMATIONAL response 2",
        "a -> b INFORMATIONAL request 3",
        "b -> a INFORMATIONAL response 3",
    ]
    assert_joined(net)


def test_a_peer_that_vanishes() -> None:
    net = established(Options(connection="dpd_delay = 10"), Options())
    net.script = lambda line, nth, data: []
    net.run(200)
    assert net.a.manager.idle
    assert not net.a.plane.inbound
    assert [type(event) for event in net.a.events[-2:]] == [IkeDown, ChildDown]


def test_dpd_action_start_sets_up_anew() -> None:
    net = established(Options(connection="dpd_delay = 10", child='dpd_action = "start"'), Options())
    net.script = lambda line, nth, data: []
    net.run(190)
    net.script = lambda line, nth, data: [0.01]
    net.run(60)
    (snapshot,) = net.a.manager.list_sas(net.now)
    assert snapshot.state == "ESTABLISHED"
    # b heard INITIAL_CONTACT and let go of the old IKE_SA.
    assert_joined(net)


def test_close_action_start_sets_up_anew() -> None:
    net = established(Options(child='close_action = "start"'), Options())
    net.command("b", Terminate(ike="ab"))
    net.run(2)
    assert_joined(net)


def test_initial_contact_replaces_what_stood() -> None:
    net = established()
    net.a = Network(seed="restarted").a  # a lost its memory
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(2)
    assert net.a.outcomes[2].ok
    assert len(net.b.manager.list_sas(net.now)) == 1
    assert_joined(net)


def test_a_further_child_with_pfs() -> None:
    net = established(TWO_CHILDREN)
    net.command("a", Initiate("ab", "second", ticket=2))
    net.run()
    assert net.a.outcomes[2].ok, net.a.outcomes[2].text
    assert net.ladder == ["a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA response 2"]
    assert_joined(net, 2)


def test_the_responder_may_ask_for_a_further_child() -> None:
    net = established(TWO_CHILDREN)
    net.command("b", Initiate("ab", "second", ticket=2))
    net.run()
    assert net.b.outcomes[2].ok
    assert net.ladder == ["b -> a CREATE_CHILD_SA request 0", "a -> b CREATE_CHILD_SA response 0"]
    assert_joined(net, 2)


def test_all_children_that_start() -> None:
    start = Options(
        local_ts='["10.1.0.0/24"]',
        remote_ts='["10.1.0.0/24"]',
        child='start_action = "start"',
        more=TWO_CHILDREN.more + 'start_action = "start"\n',
    )
    net = Network(start, TWO_CHILDREN)
    net.start()
    net.run(2)
    assert_joined(net, 2)
    assert len(net.a.manager.list_sas(net.now)) == 1


def test_other_group_wanted_for_a_child() -> None:
    only_ecp = Options(
        local_ts=TWO_CHILDREN.local_ts,
        remote_ts=TWO_CHILDREN.remote_ts,
        more=TWO_CHILDREN.more.replace('"aes128gcm16-x25519-ecp256", "aes128gcm16"', '"aes128gcm16-ecp256"'),
    )
    net = established(TWO_CHILDREN, only_ecp)
    net.command("a", Initiate("ab", "second", ticket=2))
    net.run()
    assert net.a.outcomes[2].ok, net.a.outcomes[2].text
    assert net.ladder.count("a -> b CREATE_CHILD_SA request 3") == 1
    assert_joined(net, 2)


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("group", [0, KeGroup.CURVE_25519])
def test_the_peer_rekeys_a_child(who: str, group: int) -> None:
    esp = '["aes128gcm16-x25519"]' if group else '["aes128gcm16"]'
    net = established(Options(esp_proposals=esp))
    other = net.b if who == "a" else net.a
    old = next(iter(net.site(who).plane.inbound))
    waiting: list[list[int]] = []

    def watch(line: str, nth: int, data: bytes) -> list[float]:
        if "CREATE_CHILD_SA response" in line:
            waiting.append(sorted(other.plane.standby))
        return [0.01]

    net.script = watch
    do(net, who, RekeyChild(old, group=group))
    net.run(1)
    # The other end was ready to receive when it answered, but went on sending under the old SA.
    assert len(waiting[0]) == 1
    assert not other.plane.standby
    assert [out.child_id for out in other.plane.sending()] == waiting[0]
    assert len(other.plane.inbound) == 2, "late packets under the old SA are still taken"
    net.run(10)
    assert_joined(net)


def test_rekey_of_an_unknown_child() -> None:
    net = established()
    task = RekeyChild(next(iter(net.a.plane.inbound)), spi=0xDEAD)
    do(net, "a", task)
    net.run()
    assert task.error is not None
    assert task.error.notify == NotifyType.CHILD_SA_NOT_FOUND
    assert_joined(net)


def test_a_pfs_mismatch_shows_at_the_rekey() -> None:
    net = established(Options(), Options(esp_proposals='["aes128gcm16-ecp256"]'))
    task = RekeyChild(next(iter(net.a.plane.inbound)))
    do(net, "a", task)
    net.run()
    assert task.error is not None
    assert task.error.notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert_joined(net)


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_peer_rekeys_the_ike_sa(who: str) -> None:
    net = established()
    do(net, who, RekeyIke())
    net.run(2)
    (a,), (b,) = net.a.manager.list_sas(net.now), net.b.manager.list_sas(net.now)
    assert (a.spi_i, a.spi_r) == (b.spi_i, b.spi_r)
    assert a.initiator == (who == "a")
    assert len(a.children) == len(b.children) == 1
    assert_joined(net)
    assert not [e for s in (net.a, net.b) for e in s.events if isinstance(e, ChildDown)]
    net.ladder.clear()
    net.command("b", Terminate(child="net", ticket=3))
    net.run()
    assert net.b.outcomes[3].ok
    assert not net.a.plane.inbound


def test_a_wrong_group_in_an_ike_rekey() -> None:
    net = established()
    task = RekeyIke(group=KeGroup.ECP_256)
    do(net, "a", task)
    net.run()
    assert task.error is not None
    assert (task.error.notify, task.error.data) == (NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f")
    assert_joined(net)


def test_lost_children_are_negotiated_anew_under_new_keys() -> None:
    net = established()
    (old,) = net.a.plane.outbound.values()
    net.command("a", ChildrenLost((old.child_id,)))
    net.run(8)
    assert_joined(net)
    (new,) = net.a.plane.outbound.values()
    assert new.keys != old.keys
    assert new.spi != old.spi


def test_a_child_whose_sequence_numbers_run_out_is_replaced() -> None:
    net = established()
    (old,) = net.b.plane.outbound.values()
    net.command("b", SequenceLow(old.child_id))
    net.run(8)
    assert_joined(net)
    assert joined(net.b.plane, net.a.plane)[0][0].spi != old.spi


def test_acquire_brings_up_the_trapped_child_once() -> None:
    net = Network(Options(child='start_action = "trap"'), Options())
    inner = Selector.of("10.1.0.1/32")
    for _ in range(3):
        net.command("a", Acquire("ab", inner, inner))
    net.run(2)
    assert_joined(net)
