"""Tickets by value: nobody but their gateway reads or makes them (RFC 5723 6.1, 9.2)."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.identity import Identity
from ikepy.crypto.sealing import seal
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import Granted
from ikepy.sa.api.restart_keys import TicketKey
from ikepy.sa.exchange.ticket import MAX_SIZE, Ticket, opened, sealed
from tests.exchange.network import Options

KEY, OTHER = TicketKey(b"key1", Secret(b"\1" * 32)), TicketKey(b"key2", Secret(b"\2" * 32))
TICKET = Ticket(
    b"t" * 16,
    1_700_000_000,
    1_600_000_000,
    b"i" * 8,
    b"r" * 8,
    "ab",
    b"f" * 32,
    Identity(2, b"client.example"),
    Identity(1, bytes((192, 0, 2, 1))),
    Secret(b"secret of the IKE_SA that it is of"),
    replace(Options().config("a").connections["ab"].proposals[0], number=1),
)
GRANTED = Granted(
    "alice",
    (ip_address("10.3.0.1"), ip_address("fd03::1")),
    (ip_address("10.8.0.53"),),
    None,
    (b"class", b"\0\xff"),
    60.0,
)
OF_A_USER = replace(
    TICKET,
    eap_id="alïce@example.org",
    granted=GRANTED,
    session_ends=1_650_000_000,
    proven_until=1_700_000_001,
)
RANDOM = random.Random(1).randbytes
FORMAT = b"\2"


def test_it_is_read_by_its_gateway() -> None:
    data = sealed(TICKET, KEY, RANDOM)
    for keys in ((KEY,), (OTHER, KEY), (KEY, OTHER)):
        assert opened(data, keys) == TICKET
    for ppk, safe in ((True, False), (False, True), (True, True)):
        mixed = replace(TICKET, ppk=ppk, keeps_safe=safe)
        assert opened(sealed(mixed, KEY, RANDOM), (KEY,)) == mixed
    assert opened(sealed(OF_A_USER, KEY, RANDOM), (KEY,)) == OF_A_USER
    assert opened(data, (OTHER,)) is None
    assert opened(data, ()) is None


def test_what_was_granted_for_a_time_has_what_is_left_of_it() -> None:
    assert OF_A_USER.granted_at(1_649_999_990) == replace(GRANTED, session_timeout=10.0)
    assert OF_A_USER.granted_at(1_650_000_001) == replace(GRANTED, session_timeout=0.0)
    assert replace(OF_A_USER, session_ends=None).granted_at(0.0) == GRANTED


def test_nobody_else_reads_it_and_no_two_look_alike() -> None:
    data = sealed(TICKET, KEY, RANDOM)
    for secret in (b"client.example", b"secret of", TICKET.ticket_id, TICKET.spi_r, TICKET.fingerprint):
        assert secret not in data
    again = sealed(TICKET, KEY, RANDOM)
    assert data[5:37] != again[5:37], "each has a salt, and a key, of its own"
    assert data[37:] != again[37:]
    assert len(data) < 512


def test_another_key_of_the_same_name_opens_nothing() -> None:
    assert opened(sealed(TICKET, KEY, RANDOM), (TicketKey(b"key1", OTHER.secret),)) is None


@pytest.mark.parametrize("at", range(0, 230, 7))
def test_no_altered_or_cut_one_is_a_ticket(at: int) -> None:
    data = sealed(TICKET, KEY, RANDOM)
    assert at < len(data)
    assert opened(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], (KEY, OTHER)) is None
    assert opened(data[:at], (KEY, OTHER)) is None
    assert opened(data + bytes(at + 1), (KEY, OTHER)) is None


@given(st.binary(max_size=400))
def test_whatever_is_sent_is_no_ticket(data: bytes) -> None:
    assert opened(data, (KEY,)) is None
    assert opened(FORMAT + KEY.key_id + data, (KEY,)) is None


@given(st.binary(max_size=300))
def test_not_even_what_our_own_key_has_sealed_can_be_more_than_refused(plain: bytes) -> None:
    found = opened(seal(KEY.secret, RANDOM, FORMAT + KEY.key_id, plain), (KEY,))
    assert found is None or isinstance(found, Ticket)


def test_one_that_is_too_long_is_not_looked_at() -> None:
    assert opened(seal(KEY.secret, RANDOM, FORMAT + KEY.key_id, bytes(MAX_SIZE)), (KEY,)) is None
