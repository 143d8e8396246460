"""strongSwan's alerts (`alert` of VICI, `bus.h` of libcharon), told from our events and nothing else."""

from __future__ import annotations

import pytest

from ikepy.daemon.vici.alerts import alerts
from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.events import IkeSetUpFailed

from .network import Network, Options, lose
from .test_established import established

OTHER_SUITE = '["aes256gcm16-prfsha256-x25519"]'


def raised(net: Network, name: str) -> set[str]:
    return {alert for event in net.site(name).events for alert in alerts(event)}


@pytest.mark.parametrize(
    ("a", "b", "ours", "theirs"),
    [
        (Options(), Options(proposals=OTHER_SUITE), {"proposal-mismatch-ike"}, {"proposal-mismatch-ike"}),
        (Options(), Options(secret="another one"), {"local-auth-failed"}, {"peer-auth-failed"}),
        (Options(), Options(local_id="gwx"), {"local-auth-failed"}, {"peer-auth-failed"}),
        (
            Options(local_ts='["10.1.0.0/24"]'),
            Options(remote_ts='["10.9.0.0/24"]'),
            {"ts-mismatch", "keep-on-child-sa-failure"},
            {"ts-mismatch", "keep-on-child-sa-failure"},
        ),
        (
            Options(esp_proposals='["aes256gcm16"]'),
            Options(),
            {"proposal-mismatch-child", "keep-on-child-sa-failure"},
            {"proposal-mismatch-child", "keep-on-child-sa-failure"},
        ),
    ],
)
def test_set_ups_that_fail(a: Options, b: Options, ours: set[str], theirs: set[str]) -> None:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert raised(net, "a") == ours
    assert raised(net, "b") == theirs


def test_a_peer_that_is_not_there() -> None:
    net = Network()
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net"))
    net.run(1000)
    assert raised(net, "a") == {"retransmit-send", "retransmit-send-timeout", "peer-init-unreachable"}


def test_a_peer_that_goes() -> None:
    net = established(Options(connection="dpd_delay = 10"), Options())
    net.script = lambda line, nth, data: []
    net.run(1000)
    assert raised(net, "a") == {"retransmit-send", "retransmit-send-timeout"}


def test_a_loss() -> None:
    net = established()
    net.script = lose("a -> b CREATE_CHILD_SA request 2")
    net.command("a", Rekey(child="net"))
    net.run(60)
    assert raised(net, "a") == {"retransmit-send", "retransmit-send-cleared"}


def test_an_initiator_that_does_not_go_on() -> None:
    net = Network()
    net.script = lambda line, nth, data: [] if "IKE_AUTH" in line else [0.01]
    net.command("a", Initiate("ab", "net"))
    net.run(1000)
    assert raised(net, "b") == {"half-open-timeout"}


def test_too_many_that_do_not_go_on() -> None:
    net = Network(Options(), Options(daemon="init_limit_half_open = 2\ncookie_threshold_ip = 0"))
    for number in range(1, 5):
        net.command("a", Initiate("ab", "net"))
        net.script = lambda line, nth, data: [] if "IKE_AUTH" in line else [0.01]
        net.run(0.1)
        net.command("a", Terminate(ike="ab"))
        assert len(net.b.manager.ike_sas) == min(number, 2)
    assert raised(net, "b") == {"half-open-limit"}
    assert sum(isinstance(event, IkeSetUpFailed) for event in net.b.events) == 2


def test_a_life_that_is_over() -> None:
    """The peer refuses each rekey of the IKE_SA, so that it comes to the end of its life."""
    keys = "rekey_time = 100\nover_time = 10\nrand_time = 0"
    net = established(Options(connection=keys), Options())
    net.script = lambda line, nth, data: [] if "CREATE_CHILD_SA" in line else [0.01]
    net.run(111)
    assert "ike-sa-expired" in raised(net, "a")
