"""`impair.active`: which impairments are in force for whom, and what a reload changes of them."""

from __future__ import annotations

from ikepy.config.model import Config
from ikepy.config.toml_source import parse
from ikepy.impair.active import MOST_KNOWN, Active, mistakes
from tests.unit.config.example import minimal

CONSENT = "\n[daemon]\nimpairments_allowed = true\n"


def config(connection: str = "", daemon: str = "") -> Config:
    return parse(minimal(connection) + CONSENT + daemon)


def names(active: Active, connection: str | None) -> list[list[str]]:
    return [stages.at() for stages in active.of(connection)]


def test_of_all_and_of_one() -> None:
    active = Active(
        config('impairments = ["corrupt-icv"]', 'impairments = ["corrupt-auth"]'), ["drop-outbound=3"]
    )
    assert names(active, None) == [["sending"], ["message"]]
    assert names(active, "a") == [["sending"], ["message"], ["sealed"]]
    assert names(active, "b") == names(active, None)
    assert {name: list(map(str, each)) for name, each in active.chosen.items()} == {
        "": [
            "drop-outbound=3: it does not send the Nth message that it has to send (RFC 7296 2.1)",
            "corrupt-auth: it sends a wrong AUTH (RFC 7296 2.15)",
        ],
        "a": ["corrupt-icv: it spoils a bit of the checksum of each protected message (RFC 7296 3.14)"],
    }


def test_a_datagram_belongs_to_a_connection_by_its_spi() -> None:
    active = Active(config('impairments = ["corrupt-icv"]'))
    assert not list(active.of_datagram(b"spi-of-a" + bytes(8)))
    active.note(b"spi-of-a", "a")
    assert [one.at() for one in active.of_datagram(b"spi-of-a" + bytes(8))] == [["sealed"]]
    for number in range(MOST_KNOWN):
        active.note(number.to_bytes(8, "big"), "a")
    assert not list(active.of_datagram(b"spi-of-a" + bytes(8)))


def test_what_stays_keeps_its_state() -> None:
    asked = 'impairments = ["drop-outbound=2"]'
    active = Active(config(asked))
    (before,) = active.of("a")
    assert before.sending is not None
    before.sending(b"first")
    active.use(config(asked, 'impairments = ["corrupt-auth"]'))
    after = list(active.of("a"))[-1]
    assert after is before
    assert before.sending(b"second") == []
    active.use(config('impairments = ["drop-outbound=3"]'))
    assert list(active.of("a")) != [before]
    active.use(config())
    assert not list(active.of("a"))


def test_the_configuration_that_the_machine_gets() -> None:
    given = config('impairments = ["ignore-hard-expire"]', 'impairments = ["timeout-on-retransmit"]')
    applied = Active(given, ["no-liveness"]).applied(given)
    assert applied.daemon.retransmit_tries == 0
    assert applied.connections["a"].children["net"].life_time == 0
    assert applied.connections["a"].impairments == (
        "no-liveness",
        "timeout-on-retransmit",
        "ignore-hard-expire",
    )
    assert Active(config()).applied(config()) == config()


def test_mistakes() -> None:
    found = dict(
        mistakes(config('impairments = ["esp-bad-icv", "nonsense"]', 'impairments = ["nonce-size=x"]'))
    )
    assert found["connections.a.impairments[0]"] == (
        "esp-bad-icv concerns the packets of all connections: write it into daemon.impairments"
    )
    assert found["connections.a.impairments[1]"].startswith('there is no impairment "nonsense"')
    assert found["daemon.impairments[0]"].startswith("nonce-size needs a value: 0 to 1024")
    assert len(found) == 3
