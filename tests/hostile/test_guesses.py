"""Whoever guesses secrets or identities is answered ever more seldom, and nobody else is."""

from __future__ import annotations

from ipaddress import IPv4Address

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Level
from ikepy.sa.message import query
from ikepy.wire.constants import ExchangeType, NotifyType
from tests.exchange.network import Network, assert_joined
from tests.hostile.attacker import HalfOpenAttacker, UnansweredError, target
from tests.hostile.test_limits import OTHER


def guess(
    net: Network, identity: bytes, address: IPv4Address, secret: bytes = b"wrong", port: int = 500
) -> str:
    """What a set-up with this identity and secret gets: "up", "refused" or "nothing".

    It begins at `port`, and goes on at another one, as those do that float to 4500.
    """
    number = sum(net.b.manager.counters().values())
    try:
        attacker = HalfOpenAttacker(
            net, address=address, port=port, spi_i=(number << 16 | port).to_bytes(8, "big")
        )
    except UnansweredError:
        return "nothing"
    attacker.port = 4500
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, attacker.auth_payloads(identity, secret))
    if answer is None:
        return "nothing"
    error = query.error(answer)
    if error is None:
        return "up"
    assert error.notify == NotifyType.AUTHENTICATION_FAILED
    return "refused"


def test_guesses_are_answered_ever_more_seldom_then_not_heard() -> None:
    net = target()
    heard = []
    for _ in range(40):
        heard.append(guess(net, b"gwa", OTHER))
        net.run(0.5)
    assert heard[:5] == ["refused"] * 5
    assert heard.count("refused") <= 10
    assert guess(net, b"gwa", OTHER, b"correct horse") == "nothing", "not even the right one, now"
    net.run(60)
    assert guess(net, b"gwa", OTHER, b"correct horse") == "up", "it clears what was held against it"
    assert guess(net, b"gwa", OTHER) == "refused"


def test_the_owner_of_a_guessed_identity_is_not_kept_out() -> None:
    net = target()
    for _ in range(30):
        guess(net, b"gwa", OTHER)
    assert guess(net, b"gwa", IPv4Address("198.51.100.99"), b"correct horse") == "up", "in the same network"
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)


def test_a_peer_behind_the_nat_of_one_that_guesses_other_identities() -> None:
    net = target()
    heard = [guess(net, b"nobody-%d" % number, OTHER, port=1024 + number) for number in range(40)]
    assert heard.count("refused") == 12
    assert set(heard[12:]) == {"nothing"}
    assert guess(net, b"gwa", OTHER) == "nothing", "so nobody learns which identities there are"
    assert guess(net, b"gwa", OTHER, b"correct horse") == "up"


def test_a_port_that_goes_on_guessing_gets_no_key_exchange() -> None:
    net = target()
    for number in range(40):
        guess(net, b"nobody-%d" % number, OTHER)
    counted = net.b.manager.counters()
    assert counted["failed authentications"] == 12
    assert counted["IKE_SA_INIT requests after failed authentications"] == 28


# -- what our log says of them ---------------------------------------------------------------------


def told(net: Network) -> list[tuple[Level, str]]:
    """Of failed authentications, in order."""
    return [(one.level, one.text) for one in net.b.logs if "authenticat" in one.text]


FAILED = 'AUTHENTICATION_FAILED: authentication of the peer FQDN "{}" failed ('


def test_the_log_says_for_how_long_no_further_guess_is_heard() -> None:
    net = target()
    for _ in range(7):
        guess(net, b"gwa", OTHER)
    lines = told(net)
    assert [level for level, _ in lines] == [Level.ERROR] * 5 + [Level.INFO] * 2
    start = "IKE_SA ended: " + FAILED.format("gwa")
    assert [text.startswith(start) for _, text in lines[:5]] == [True] * 5
    assert ["no further attempt" in text for _, text in lines[:4]] == [False] * 4
    assert lines[4][1].endswith("); no further attempt is heard for 1 s")
    assert (
        lines[5][1] == 'IKE_SA ended: not heard: FQDN "gwa" has failed to authenticate too often from there'
    )
    counted = net.b.manager.counters()
    assert counted["failed authentications"] == 5
    assert counted["authentications not heard after failed ones"] == 2
    assert not net.b.manager.ike_sas


def test_a_failure_that_is_not_answered_is_told_in_our_log() -> None:
    """A named identity from a place where others were guessed: it is looked at, and success is answered."""
    net = target()
    for number in range(12):
        guess(net, b"nobody-%d" % number, OTHER, port=1024 + number)
    before = len(told(net))
    assert guess(net, b"gwa", OTHER) == "nothing"
    ((level, text),) = told(net)[before:]
    assert level is Level.INFO
    assert text.startswith('IKE_SA ended: authentication of the peer FQDN "gwa" failed (secret: ')
    assert not net.b.manager.ike_sas


def test_each_identity_has_its_own_count_where_the_configuration_names_it() -> None:
    """Whoever is anybody's counts with all of its address."""
    more = """
[connections.other]
local_addrs = ["192.0.2.2"]
remote_addrs = ["%any"]
[connections.other.local]
id = "gwb"
[connections.other.remote]
id = "gwc"
[connections.other.children.net]
"""
    net = target(more=more)
    assert [guess(net, b"gwa", OTHER, port=1024 + n) for n in range(6)] == ["refused"] * 5 + ["nothing"]
    assert guess(net, b"gwc", OTHER, port=2000) == "refused"
    assert guess(net, b"gwc", OTHER, b"correct horse", port=2001) == "up"
