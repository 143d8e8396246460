"""Setting up: IKE_SA_INIT and IKE_AUTH (RFC 7296 1.2), undisturbed, and each message lost or repeated."""

from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.events import ChildUp, IkeUp

from .network import Network, Options, assert_joined, duplicate, lose

SETUP = [
    "a -> b IKE_SA_INIT request 0",
    "b -> a IKE_SA_INIT response 0",
    "a -> b IKE_AUTH request 1",
    "b -> a IKE_AUTH response 1",
]


def test_setup() -> None:
    net = Network()
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run()
    assert net.ladder == SETUP
    assert_joined(net)
    assert net.a.outcomes[7].ok
    assert [type(e) for e in net.a.events] == [IkeUp, ChildUp]
    assert [type(e) for e in net.b.events] == [IkeUp, ChildUp]


def test_responder_installs_before_it_answers() -> None:
    net = Network()
    seen: list[int] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line == SETUP[3]:
            seen.append(len(net.b.plane.inbound))
        return [0.01]

    net.script = script
    net.command("a", Initiate("ab", "net"))
    net.run()
    assert seen == [1]


@pytest.mark.parametrize("message", SETUP)
@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_message_is_sent_again(message: str, times: int) -> None:
    net = Network()
    net.script = lose(message, times=times)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(60)
    assert net.a.outcomes[1].ok
    assert net.ladder.count(message) == times + 1
    assert_joined(net)


@pytest.mark.parametrize("message", SETUP)
def test_a_repeated_message_changes_nothing(message: str) -> None:
    net = Network()
    net.script = duplicate(message)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(10)
    assert net.a.outcomes[1].ok
    assert_joined(net)
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_no_answer_at_all() -> None:
    net = Network(Options())
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net", ticket=1))
    started = net.now
    net.run(200)
    # charon's 4.0 s x 1.8^n, 5 tries: 4 + 7.2 + 12.96 + 23.3 + 42 + 75.6 = 165 s
    assert net.ladder == [SETUP[0]] * 6
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle
    assert net.now - started == 200


def test_more_children_than_commands_may_wait() -> None:
    """What the configuration asks for has its turn, however much it is."""
    count = 1200
    name = '[connections.ab.children.c{0}]\nlocal_ts = ["{1}"]\nremote_ts = ["{1}"]\nstart_action = "start"\n'
    more = "".join(name.format(n, IPv4Address((10 << 24) + n)) for n in range(count))
    net = Network(Options(more=more, connection="max_children = 2000\nmax_children_in_all = 4000\n"))
    net.run_effects("a", net.a.manager.start(net.now))
    net.run(1)
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.state == "ESTABLISHED"
    made = len(sa.children)
    assert made > 10
    net.run(1)
    (sa,) = net.a.manager.list_sas(net.now)
    assert len(sa.children) > made
    assert not net.a.errors()
