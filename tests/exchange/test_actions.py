"""What follows when SAs end or don't come up: `dpd_action`, `close_action`, `keyingtries`, `unique`, PFS."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from esp.packet.selectors import Selector
from ikepy.errors import PeerError
from ikepy.sa.api.commands import Acquire, Initiate, Rekey, Terminate
from ikepy.sa.api.events import ChildDown, ChildRekeyed, IkeRekeyed
from ikepy.sa.state.task import Answer
from ikepy.sa.tasks import child_rekey, ike_rekey
from ikepy.wire.constants import NotifyType

from .network import Network, Options, assert_joined

LONG = Options(child="rekey_time = 0", connection="rekey_time = 0")
PACKET = Selector.of("10.1.0.1/32")


def established(a: Options, b: Options = LONG) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    net.ladder.clear()
    return net


def silence(line: str, nth: int, data: bytes) -> list[float]:
    return []


def calm(line: str, nth: int, data: bytes) -> list[float]:
    return [0.01]


# close_action, dpd_action


@pytest.mark.parametrize("what", ["child", "ike"])
@pytest.mark.parametrize("action", ["none", "trap", "start"])
def test_close_action(action: str, what: str) -> None:
    net = established(
        Options(child=f'rekey_time = 0\nclose_action = "{action}"', connection="rekey_time = 0")
    )
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(30)
    assert not net.ladder, "nothing is missing"
    net.command("b", Terminate(child="net") if what == "child" else Terminate(ike="ab"))
    net.run(20)
    assert len(net.a.plane.inbound) == (action == "start")
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(5)
    assert len(net.a.plane.inbound) == (action != "none")
    assert_joined(net, int(action != "none"))


@pytest.mark.parametrize("action", ["none", "trap", "start"])
def test_dpd_action(action: str) -> None:
    net = established(
        Options(child=f'rekey_time = 0\ndpd_action = "{action}"', connection="rekey_time = 0\ndpd_delay = 10")
    )
    net.script = silence
    net.run(185)
    assert not net.a.plane.inbound
    net.script = calm
    net.run(60)
    assert len(net.a.plane.inbound) == (action == "start")
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(5)
    assert len(net.a.plane.inbound) == (action != "none")


def test_what_the_user_ends_stays_down() -> None:
    net = established(Options(child='close_action = "trap"\ndpd_action = "trap"'))
    net.command("a", Terminate(ike="ab"))
    net.run(2)
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(5)
    assert net.a.manager.idle


@pytest.mark.parametrize("what", ["child", "ike"])
def test_a_peer_that_lets_go_at_once_is_not_asked_in_a_loop(what: str) -> None:
    """Ten minutes of a peer that deletes what has just come up: waits that grow to two minutes."""
    net = established(Options(child='rekey_time = 0\nclose_action = "start"', connection="rekey_time = 0"))
    ended = 0
    for _ in range(6000):
        if net.b.plane.inbound:
            ended += 1
            net.command("b", Terminate(child="net") if what == "child" else Terminate(ike="ab"))
        net.run(0.1)
    assert 5 <= ended <= 14


def test_an_acquire_that_comes_to_nothing_is_repeated_less_and_less() -> None:
    net = Network(Options(child='start_action = "trap"'), Options(proposals='["aes256-sha384-modp3072"]'))
    for _ in range(600):
        net.command("a", Acquire("ab", PACKET, PACKET))
        net.run(1)
    assert 10 <= net.ladder.count("a -> b IKE_SA_INIT request 0") <= 26


def test_a_packet_without_a_way_to_the_peer_leaves_a_line_now_and_then() -> None:
    net = Network(Options(child='start_action = "trap"'), Options())
    address, net.a.address = net.a.address, None
    for _ in range(120):
        net.command("a", Acquire("ab", PACKET, PACKET))
        net.run(1)
    told = net.a.errors()
    assert 6 <= len(told) <= 9
    assert set(told) == {
        f"net should start for the packet {PACKET} === {PACKET}, and can't: no way there; once that is "
        "mended, the next packet starts it"
    }
    assert all(line.source is not None for line in net.a.logs), "limited like all that packets cause"
    net.a.address = address
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(5)
    assert_joined(net)


def test_without_a_trap_nothing_is_said_of_it() -> None:
    net = Network(Options(), Options())
    net.a.address = None
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(5)
    assert not net.a.errors()


# keyingtries


def test_keyingtries_without_end() -> None:
    """An hour of refusals: 2, 4, 8 ... 120 seconds, each with chance added, and it comes up in the end."""
    net = Network(
        Options(connection="keyingtries = 0"),
        Options(proposals='["aes256-sha384-modp3072"]', daemon="port = 500"),
    )
    at: list[float] = []

    def note(line: str, nth: int, data: bytes) -> list[float]:
        if line == "a -> b IKE_SA_INIT request 0":
            at.append(net.now)
        return [0.01]

    net.script = note
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(3600)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert 25 <= len(at) <= 40
    assert gaps[0] < 4
    assert all(2 * 2**n <= gap <= 2 * 2**n * 1.3 for n, gap in enumerate(gaps[:5]))
    assert all(120 <= gap <= 151 for gap in gaps[7:])
    assert len({round(gap, 3) for gap in gaps[7:]}) > 5, "chance keeps peers apart"
    net.b = Network(Options(), seed="mended").b
    net.run(160)
    assert len(net.a.plane.inbound) == 1


@pytest.mark.parametrize("tries", [1, 3])
def test_keyingtries_and_no_more(tries: int) -> None:
    net = Network(Options(connection=f"keyingtries = {tries}"), Options())
    net.script = silence
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(3600)
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 6 * tries
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle
    assert net.a.manager.deadline is None


# unique


def second_life(policy: str, *, initial_contact: bool) -> Network:
    """a is up with b, loses its memory, and comes up again, with or without INITIAL_CONTACT."""
    a = Options(connection="" if initial_contact else 'unique = "never"')
    net = established(a, Options(connection=f'unique = "{policy}"'))
    net.a = Network(a, seed="restarted").a
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(1)
    return net


@pytest.mark.parametrize("initial_contact", [True, False])
@pytest.mark.parametrize(("policy", "kept"), [("no", (1, 2)), ("never", (2, 2)), ("replace", (1, 1))])
def test_unique(policy: str, kept: tuple[int, int], initial_contact: bool) -> None:
    """How many IKE_SAs b keeps: "no" believes INITIAL_CONTACT, "never" does not, "replace" needs none."""
    net = second_life(policy, initial_contact=initial_contact)
    assert net.a.outcomes[2].ok
    net.run(200 if policy == "replace" else 150)  # then one that a has lost is not given up yet
    established = [sa for sa in net.b.manager.list_sas(net.now) if sa.state == "ESTABLISHED"]
    assert len(established) == kept[0 if initial_contact else 1]
    assert established[-1].children


@pytest.mark.parametrize("initial_contact", [True, False])
def test_unique_keep(initial_contact: bool) -> None:
    """The one that stands stays; the newcomer fails as with a wrong key."""
    net = second_life("keep", initial_contact=initial_contact)
    assert not net.a.outcomes[2].ok
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[2].text
    (sa,) = net.b.manager.list_sas(net.now)
    assert sa.state == "ESTABLISHED"
    assert any("exists, and unique = keep" in text for text in net.b.errors())


# PFS


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("aes128gcm16", "aes128gcm16-ecp256"),
        ("aes128gcm16-x25519", "aes128gcm16"),
        ("aes128gcm16-x25519", "aes128gcm16-ecp256"),
    ],
)
def test_a_pfs_mismatch_is_called_that_at_both_ends(ours: str, theirs: str) -> None:
    net = established(
        Options(esp_proposals=f'["{ours}"]', child="rekey_time = 60\nrand_time = 0\nlife_time = 600"),
        Options(esp_proposals=f'["{theirs}"]', child="rekey_time = 0"),
    )
    assert not net.a.errors(), "IKE_AUTH has no key exchange of its own"
    net.run(61)
    (warning,) = net.a.errors()
    assert "rekey of net #1 failed: NO_PROPOSAL_CHOSEN (a PFS mismatch" in warning
    (refusal,) = net.b.errors()
    assert "NO_PROPOSAL_CHOSEN: a PFS mismatch: the peer offers " in refusal
    assert ("no key exchange" in refusal) == (len({"-" in ours, "-" in theirs}) == 2)
    assert_joined(net)
    assert not [event for event in net.a.events if isinstance(event, ChildDown)]


@pytest.mark.parametrize("kind", ["child", "ike"])
def test_a_key_exchange_that_was_not_offered_is_a_refusal_like_others(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVALID_KE_PAYLOAD with MODP 2048: the rekey is tried again, and the SA is not stuck (RFC 7296 1.3)."""
    net = established(LONG)
    module = child_rekey if kind == "child" else ike_rekey
    answer: Callable[..., Answer] = module.respond
    refused: list[int] = []

    def refuse(*arguments: object) -> Answer:
        if len(refused) < 2:
            refused.append(1)
            raise PeerError(NotifyType.INVALID_KE_PAYLOAD, "another one", data=b"\0\x0e")
        return answer(*arguments)

    monkeypatch.setattr(module, "respond", refuse)
    net.command("a", Rekey(child="net") if kind == "child" else Rekey(ike="ab"))
    net.run(120)
    assert len(refused) == 2
    topic = ChildRekeyed if kind == "child" else IkeRekeyed
    assert sum(isinstance(event, topic) for event in net.a.events) == 1
    assert_joined(net)
