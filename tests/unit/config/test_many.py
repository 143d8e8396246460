"""Configurations with many connections: the work grows with their number, not with that of their pairs."""

import sys
from collections.abc import Callable

import pytest

from ikepy.config.identity import Identity
from ikepy.config.toml_source import parse
from ikepy.errors import ConfigError
from tests.unit.config.example import good, minimal, problems


def site(number: int, *, vti: str = "", local: str = "gw", remote: str = "", secret: str = "") -> str:
    """One connection of a concentrator; what isn't given is this site's alone."""
    name = f"s{number}"
    net = f"10.{number // 250}.{number % 250}"
    vti = vti or (
        f'addresses = ["{net}.1/30"]\npeers = ["{net}.2"]'
        f'\nroutes = ["172.16.{number // 250}.{number % 250}/32", "fd00:{number:x}::/64"]'
    )
    return minimal(
        f'remote_addrs = ["198.51.{number // 250}.{number % 250}"]',
        'local_ts = ["10.0.0.0/8"]\nremote_ts = ["172.16.0.0/12"]',
        name=name,
        local=f'id = "{local}"',
        remote=f'id = "{remote or name}"',
        vti=vti,
        rest=secret
        or f'[secrets.ike-{name}]\nids = ["{local}", "{remote or name}"]\nsecret = "{name}-s3cr3t"',
    )


def spoke(number: int) -> str:
    return site(number, local=f"spoke{number}", remote="hub")


def alike(number: int) -> str:
    return site(
        number,
        vti='addresses = ["10.0.0.1/24"]\npeers = ["10.0.0.2"]\nroutes = ["10.2.0.0/24"]\nname = "vti0"',
        remote="site",
    )


def without_secret(number: int) -> str:
    return site(number, secret=f'[secrets.ike-{number}]\nids = ["gw", "nobody{number}"]\nsecret = "x"')


def lacking(number: int) -> str:
    """No secret fits it; that of one of them is mistyped."""
    mistyped = '[secrets.ike-0]\nids = ["s0x"]\nsecret = "x"'
    return site(number, secret="\n" if number else mistyped)


def of_anybody(number: int) -> str:
    return site(number, secret=f'[secrets.ike-{number}]\nids = ["%any"]\nsecret = "x"')


def nested(number: int) -> str:
    return site(number, vti=f'addresses = ["10.0.0.1/{number % 24 + 8}"]\nname = "v{number}"')


def calls(text: str) -> int:
    """How many functions are called to read a configuration: the work, whatever the machine's speed."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        parse(text)
    except ConfigError:
        pass
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("one", [site, spoke, alike, without_secret, lacking, of_anybody, nested])
def test_twice_as_many_are_twice_the_work(one: Callable[[int], str]) -> None:
    calls(one(0))  # what is done once only
    half, whole = (calls("".join(map(one, range(count)))) for count in (100, 200))
    assert whole < 2.1 * half


def test_what_many_share_is_told_once_for_each() -> None:
    found = problems("".join(map(alike, range(4))))
    assert len(found) == 3 * 3
    for key in ("name", "addresses[0]", "peers[0]"):
        assert all("connections.s0.vti" in found[f"connections.s{number}.vti.{key}"] for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("10.0.0.1/8", "10.1.0.1/16", True),
        ("10.1.0.1/16", "10.0.0.1/8", True),
        ("10.1.0.1/16", "10.1.0.9/16", True),
        ("10.1.0.1/16", "10.2.0.1/16", False),
        ("10.0.0.1/8", "11.0.0.1/16", False),
        ("10.0.0.1/32", "10.0.0.1/32", False),
        ("10.0.0.1/32", "10.0.0.1/30", True),
        ("10.0.0.1/30", "10.0.0.1/32", True),
        ("0.0.0.1/0", "192.0.2.1/32", True),
        ("fd00::1/64", "fd00::2/126", True),
        ("fd00::2/128", "fd00::1/64", True),
        ("fd00::1/64", "fd00:0:0:1::1/64", False),
        ("0.0.0.1/0", "fd00::1/64", False),
    ],
)
def test_networks_that_overlap(first: str, second: str, overlap: bool) -> None:
    text = site(0, vti=f'addresses = ["{first}"]') + site(1, vti=f'addresses = ["{second}"]')
    expected = {"connections.s1.vti.addresses[0]": f"overlaps {first} in connections.s0.vti.addresses"}
    assert problems(text) == (expected if overlap else {})


def test_addresses_of_one_device_may_share_a_network() -> None:
    assert not problems(site(0, vti='addresses = ["10.0.0.1/24", "10.0.0.2/24"]'))


@pytest.mark.parametrize(
    ("secrets", "local", "remote", "secret"),
    [
        # Both by name before the peer alone, whatever stands first.
        ([["hub"], ["spoke7", "hub"]], "spoke7", "hub", 1),
        ([["spoke7", "hub"], ["spoke7", "hub"]], "spoke7", "hub", 0),
        # The peer by name: ours by a pattern, then as anybody's, then not at all.
        ([["hub"], ["hub", "%any"], ["hub", "*.example.org"]], "a.example.org", "hub", 2),
        ([["hub"], ["hub", "%any"]], "a.example.org", "hub", 1),
        ([["hub"], ["hub"]], "a.example.org", "hub", 0),
        # Not by name: the pattern before anybody's, and those before one that names us alone.
        ([["gw"], [], ["*.example.org"]], "gw", "b.example.org", 2),
        ([["gw"], [], ["%any", "gw"]], "gw", "b.example.org", 2),
        ([["gw", "other"], []], "gw", "b.example.org", 1),
        ([["other"], ["gw", "other"], ["gw"]], "gw", "b.example.org", 1),
        ([["*.example.org"], ["*.example.org"]], "gw", "b.example.org", 0),
        ([[], []], "gw", "b.example.org", 0),
    ],
)
def test_the_best_of_many_secrets(secrets: list[list[str]], local: str, remote: str, secret: int) -> None:
    text = "".join(f"[secrets.ike-{n}]\nids = {ids}\nsecret = 's{n}'\n" for n, ids in enumerate(secrets))
    found = good(text).psk(Identity.parse(local), Identity.parse(remote))
    assert found is not None
    assert found.expose() == f"s{secret}".encode()
