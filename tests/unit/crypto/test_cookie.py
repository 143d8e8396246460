"""Cookies: whose they are, how long they live, and what they cost (RFC 7296 2.6)."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.cookie import LIFETIME, CookieJar
from tests.unit.crypto.randomness import seeded

SPI, NONCE, ADDRESS = b"initiatr", b"n" * 32, IPv4Address("192.0.2.1")
NOW = 1_000_000.0


def test_is_valid_for_its_own_request() -> None:
    jar = CookieJar(seeded(1))
    cookie = jar.make(SPI, NONCE, ADDRESS, NOW)
    assert len(cookie) <= 64
    assert jar.valid(cookie, SPI, NONCE, ADDRESS, NOW)
    assert jar.make(SPI, NONCE, ADDRESS, NOW) == cookie


def test_is_valid_for_no_other_request() -> None:
    jar = CookieJar(seeded(1))
    cookie = jar.make(SPI, NONCE, ADDRESS, NOW)
    assert not jar.valid(cookie, b"Initiatr", NONCE, ADDRESS, NOW)
    assert not jar.valid(cookie, SPI, NONCE + b"n", ADDRESS, NOW)
    assert not jar.valid(cookie, SPI, NONCE, IPv4Address("192.0.2.2"), NOW)
    mapped = IPv6Address("::ffff:192.0.2.1")
    assert not jar.valid(cookie, SPI, NONCE, mapped, NOW)


def test_bytes_do_not_move_between_address_and_nonce() -> None:
    jar = CookieJar(seeded(1))
    short = jar.make(SPI, bytes(12) + NONCE, IPv4Address(0), NOW)
    assert not jar.valid(short, SPI, NONCE, IPv6Address(0), NOW)


@pytest.mark.parametrize("position", range(33))
def test_every_byte_counts(position: int) -> None:
    jar = CookieJar(seeded(1))
    cookie = bytearray(jar.make(SPI, NONCE, ADDRESS, NOW))
    cookie[position] ^= 0x80
    assert not jar.valid(bytes(cookie), SPI, NONCE, ADDRESS, NOW)


def test_other_jars_do_not_know_it() -> None:
    cookie = CookieJar(seeded(1)).make(SPI, NONCE, ADDRESS, NOW)
    other = CookieJar(seeded(2))
    assert not other.valid(cookie, SPI, NONCE, ADDRESS, NOW)
    other.make(SPI, NONCE, ADDRESS, NOW)
    assert not other.valid(cookie, SPI, NONCE, ADDRESS, NOW)


@pytest.mark.parametrize("fresh_in_between", [False, True])
def test_lives_through_the_next_period_and_no_longer(fresh_in_between: bool) -> None:
    jar = CookieJar(seeded(1))
    start = LIFETIME * 100
    cookie = jar.make(SPI, NONCE, ADDRESS, start)
    if fresh_in_between:
        assert jar.make(SPI, NONCE, ADDRESS, start + LIFETIME) != cookie
    assert jar.valid(cookie, SPI, NONCE, ADDRESS, start + 2 * LIFETIME - 0.001)
    assert not jar.valid(cookie, SPI, NONCE, ADDRESS, start + 2 * LIFETIME)


def test_names_of_secrets_come_round_without_harm() -> None:
    jar = CookieJar(seeded(1))
    cookie = jar.make(SPI, NONCE, ADDRESS, 0.0)
    later = 256 * LIFETIME
    assert jar.make(SPI, NONCE, ADDRESS, later)[:1] == cookie[:1]
    assert not jar.valid(cookie, SPI, NONCE, ADDRESS, later)


def test_draws_one_secret_a_period_and_none_to_check() -> None:
    drawn: list[int] = []

    def count(size: int) -> bytes:
        drawn.append(size)
        return bytes(size)

    jar = CookieJar(count)
    assert not jar.valid(b"x" * 33, SPI, NONCE, ADDRESS, NOW)
    assert drawn == []
    for second in range(30):
        jar.make(SPI, NONCE, ADDRESS, LIFETIME * 7 + second)
    assert len(drawn) == 1


@given(cookie=st.binary(max_size=64), nonce=st.binary(min_size=16, max_size=256))
def test_garbage_is_not_valid(cookie: bytes, nonce: bytes) -> None:
    jar = CookieJar(seeded(1))
    jar.make(SPI, NONCE, ADDRESS, NOW)
    assert not jar.valid(cookie, SPI, nonce, ADDRESS, NOW)
