"""What one peer may hold, and that nobody else loses anything over it (RFC 7296 1.3, NO_ADDITIONAL_SAS)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.capacity import Capacity
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.message import query
from ikepy.sa.state.sa_limits import MOST_REPLACED
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.payloads import NoncePayload, NotifyPayload, Payload
from tests.hostile.attacker import NONCE, HalfOpenAttacker, child_payloads, target

from .network import ADDRESS_A, DELAY, Network, Options, assert_joined
from .rekeying_peer import RekeyIke
from .two_children import established, options

NO_INITIAL_CONTACT = Options(connection='unique = "never"')
CREATE = ExchangeType.CREATE_CHILD_SA
ELSEWHERE = IPv4Address("203.0.113.9")


def limited(limit: str) -> Network:
    return Network(NO_INITIAL_CONTACT, Options(connection=limit))


def another_peer(net: Network, seed: str) -> str:
    """A peer with a's identity that knows nothing of earlier ones; what its `initiate` was told."""
    net.a = Network(NO_INITIAL_CONTACT, seed=seed).a
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    return "" if net.a.outcomes[1].ok else net.a.outcomes[1].text


@pytest.mark.parametrize("limit", ["max_ike_sas_per_identity", "max_ike_sas"])
def test_ike_sas(limit: str) -> None:
    """One more is refused before anything is installed, and those that stand go on."""
    net = limited(f"{limit} = 3")
    assert [another_peer(net, str(n)) for n in range(3)] == ["", "", ""]
    children = set(net.b.plane.inbound)
    assert "NO_ADDITIONAL_SAS" in another_peer(net, "3")
    assert set(net.b.plane.inbound) == children
    assert len(net.b.manager.ike_sas) == 3
    assert any(limit in text for text in net.b.errors())
    assert not net.a.manager.ike_sas


def test_a_peer_that_has_forgotten_its_ike_sas_has_room_when_they_do_not_answer() -> None:
    """Without INITIAL_CONTACT and dpd_delay nothing else would find that out for hours."""
    net = limited("max_ike_sas_per_identity = 2")
    for n in range(2):
        another_peer(net, str(n))
    assert "NO_ADDITIONAL_SAS" in another_peer(net, "2")
    asked = [line for line in net.ladder if line.startswith("b -> a INFORMATIONAL request")]
    assert len(asked) == 2
    net.run(300)
    assert not net.b.manager.ike_sas
    assert another_peer(net, "3") == ""
    assert_joined(net)


def test_initial_contact_counts_nothing_that_it_ends() -> None:
    net = Network(Options(), Options(connection="max_ike_sas_per_identity = 1"))
    for n in range(5):
        net.a = Network(Options(), seed=str(n)).a
        net.command("a", Initiate("ab", "net", ticket=1))
        net.run(1)
        assert net.a.outcomes[1].ok
    assert_joined(net)


@pytest.mark.parametrize("moves", [False, True])
def test_ike_rekeys_without_deletes(moves: bool) -> None:
    """Each waits a minute for its delete: beyond some of them a rekey has to wait, wherever it comes from."""
    net = established(options(), options(), second=False)
    net.script = lambda line, nth, data: [] if line.startswith("a -> b INFORMATIONAL") else [DELAY]
    tasks = [RekeyIke() for _ in range(MOST_REPLACED + 1)]
    for task in tasks:
        if moves:
            for one in net.b.manager.ike_sas[:-1]:
                one.path = replace(one.path, remote=replace(one.path.remote, address=ELSEWHERE))
        sa = next(sa for sa in reversed(net.a.manager.ike_sas) if sa.established)
        sa.enqueue(task)
        net.run_effects("a", net.a.manager.proceed(sa, net.now))
        net.run(0.1)
    errors = [task.error for task in tasks]
    assert errors[:-1] == [None] * MOST_REPLACED
    assert errors[-1] is not None
    assert errors[-1].notify == NotifyType.TEMPORARY_FAILURE
    assert len(net.b.manager.ike_sas) == MOST_REPLACED + 1


# -- children --------------------------------------------------------------------------------------


class Peer:
    """An authenticated peer that asks for children without end."""

    def __init__(self, connection: str) -> None:
        self.net = target(connection=connection)
        self.attacker = HalfOpenAttacker(self.net, address=ADDRESS_A)
        self.attacker.establish()
        self.last = 0x12_34
        self._message_id = 1

    def ask(self, rekeyed: int | None = None) -> int | None:
        """Ask for one more, or for one that replaces another: the error, None if there is none."""
        self._message_id += 1
        spi = self.last + 1
        payloads: list[Payload] = [NoncePayload(NONCE), *child_payloads(spi.to_bytes(4, "big"))]
        if rekeyed is not None:
            old = rekeyed.to_bytes(4, "big")
            payloads.insert(0, NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, old))
        answer = self.attacker.ask(CREATE, self._message_id, payloads)
        assert answer is not None
        error = query.error(answer)
        if error is None:
            self.last = spi
        return None if error is None else error.notify

    @property
    def children(self) -> int:
        (sa,) = self.net.b.manager.ike_sas
        assert len(sa.children) == len(self.net.b.plane.inbound)
        return len(sa.children)


@pytest.mark.parametrize("limit", ["max_children", "max_children_in_all"])
def test_children(limit: str) -> None:
    """One more is refused, the others stand, and each can be rekeyed nevertheless."""
    peer = Peer(f"{limit} = 3")
    assert [peer.ask() for _ in range(2)] == [None, None]
    assert peer.ask() == NotifyType.NO_ADDITIONAL_SAS
    assert peer.children == 3
    assert any(limit in text for text in peer.net.b.errors())
    assert peer.ask(rekeyed=peer.last) is None
    assert peer.children == 4


def test_rekeys_without_deletes() -> None:
    peer = Peer("max_children = 3")
    heard = [peer.ask(rekeyed=peer.last) for _ in range(8)]
    assert heard == [None] * 5 + [NotifyType.NO_ADDITIONAL_SAS] * 3
    assert peer.children == 6


# -- the worker ------------------------------------------------------------------------------------


def test_a_worker_that_is_nearly_full_keeps_room_for_rekeys() -> None:
    net = established(options(), options(), second=False)
    net.b.room = Capacity(8, 64)
    net.command("a", Initiate("ab", "second", ticket=1))
    net.run(1)
    assert "NO_ADDITIONAL_SAS" in net.a.outcomes[1].text
    assert any("8 of 64 places left" in text for text in net.b.errors())
    net.command("a", Rekey(child="net", ticket=2))
    net.run(10)
    assert net.a.outcomes[2].ok
    assert_joined(net)


@pytest.mark.parametrize("full", ["a", "b"])
@pytest.mark.parametrize("what", ["rekey", "create"])
def test_a_worker_that_is_full_costs_nothing_that_stands(full: str, what: str) -> None:
    """Neither the IKE_SA nor the child that was to be rekeyed, whichever end has no room."""
    net = established(options(), options(), second=False)
    (before,) = net.a.plane.inbound
    net.site(full).room = Capacity(0, 64)
    net.command("a", Rekey(child="net", ticket=2) if what == "rekey" else Initiate("ab", "second", ticket=2))
    net.run(1)
    assert not net.a.outcomes[2].ok
    assert list(net.a.plane.inbound) == [before]
    assert any(
        "0 of 64 places left" in text or "NO_ADDITIONAL_SAS" in text for text in net.site(full).errors()
    )
    net.site(full).room = Capacity(64, 64)
    net.run(200)
    assert_joined(net)
    assert len(net.a.manager.ike_sas) == 1


@pytest.mark.parametrize("closed", ["a", "b"])
@pytest.mark.parametrize("what", ["rekey", "create"])
def test_a_worker_that_is_not_there_is_no_reason_to_give_up(closed: str, what: str) -> None:
    """Nothing is installed that would not be carried; the peer is told to come back later (RFC 7296 2.25)."""
    net = established(options(), options(), second=False)
    (before,) = net.a.plane.inbound
    net.site(closed).room = Capacity(0, 0, "its worker is not running")
    net.command("a", Rekey(child="net", ticket=2) if what == "rekey" else Initiate("ab", "second", ticket=2))
    net.run(1)
    assert list(net.a.plane.inbound) == [before]
    assert any(
        "its worker is not running" in text or "TEMPORARY_FAILURE" in text
        for text in net.site(closed).errors()
    )
    net.site(closed).room = Capacity(64, 64)
    net.run(200)
    again = what == "create" and closed == "b"
    assert_joined(net, 2 if again else 1)
    assert not again or net.a.outcomes[2].ok, "it was asked for again"
    assert len(net.a.manager.ike_sas) == 1


def test_the_first_child_of_an_ike_sa_finds_no_worker() -> None:
    net = Network(replace(options(), connection="keyingtries = 1"), options())
    net.b.room = Capacity(0, 0, "its worker is not running")
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert "TEMPORARY_FAILURE" in net.a.outcomes[1].text
    assert len(net.a.manager.ike_sas) == len(net.b.manager.ike_sas) == 1


def test_the_first_child_of_an_ike_sa_has_no_room() -> None:
    """The IKE_SA stands, for children have nothing to do with it (1.2)."""
    net = Network(replace(options(), connection="keyingtries = 1"), options())
    net.b.room = Capacity(0, 64)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert "NO_ADDITIONAL_SAS" in net.a.outcomes[1].text
    assert [sa.established for sa in net.b.manager.ike_sas] == [True]
    assert not net.b.plane.inbound
