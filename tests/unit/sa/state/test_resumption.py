"""Tickets that we hold are given up in time; tickets that were used are remembered (RFC 5723 4.3.1, 6.2)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.sa.state import resumption
from ikepy.sa.state.resumption import MOST_TRIES, ClientTicket, ClientTickets, UsedTickets
from tests.exchange.network import Options

GATEWAY, ELSEWHERE = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.3")
WHO = Identity.of_address(GATEWAY)


def connection() -> Connection:
    return Options().config("a").connections["ab"]


def ticket(of: Connection, ike_id: int = 1) -> ClientTicket:
    return ClientTicket(b"data", 100.0, Secret(bytes(32)), of.proposals[0], WHO, WHO, GATEWAY, of, ike_id)


def is_wiped(one: ClientTicket) -> bool:
    try:
        one.sk_d.expose()
    except LocalMisuse:
        return True
    return False


def test_it_is_taken_once_by_its_connection_for_its_gateway_in_time() -> None:
    held, of = ClientTickets(), connection()
    one = ticket(of)
    held.put(one)
    assert held.take(of, ELSEWHERE, 50.0) is None
    assert held.take(of, GATEWAY, 50.0) is one
    assert held.take(of, GATEWAY, 50.0) is None
    held.put(one)
    assert held.take(of, GATEWAY, 100.0) is None, "it has expired"
    assert is_wiped(one)
    other = ticket(of)
    held.put(other)
    assert held.take(connection(), GATEWAY, 50.0) is None, "the configuration is another one"
    assert is_wiped(other)


def test_what_is_given_up_is_wiped() -> None:
    held, of = ClientTickets(), connection()
    one, two, three = (ticket(of, number) for number in (1, 2, 3))
    held.put(one)
    held.put(two)
    assert is_wiped(one)
    held.drop("ab", ike_id=1)
    assert not is_wiped(two)
    held.drop("ab", ike_id=2)
    assert is_wiped(two)
    held.put(three)
    held.keep({"ab": of})
    assert not is_wiped(three)
    held.keep({"ab": connection()})
    assert is_wiped(three)


def test_one_that_nobody_answers_is_given_up_at_last() -> None:
    held, of = ClientTickets(), connection()
    held.put(ticket(of))
    for _ in range(MOST_TRIES):
        taken = held.take(of, GATEWAY, 50.0)
        assert taken is not None
        held.put_back(taken)
    last = held.take(of, GATEWAY, 50.0)
    assert last is not None
    held.put_back(last)
    assert held.take(of, GATEWAY, 50.0) is None
    assert is_wiped(last)


def test_a_newer_one_stays() -> None:
    held, of = ClientTickets(), connection()
    older, newer = ticket(of, 1), ticket(of, 2)
    held.put(newer)
    held.put_back(replace(older))
    assert held.take(of, GATEWAY, 50.0) is newer


def test_used_ones_are_refused_until_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "MOST_USED", 4)
    used = UsedTickets()
    for number in range(3):
        used.add(bytes([number]) * 16, 100 + number)
    assert used.refuses(bytes(16), 50.0)
    assert not used.refuses(b"\7" * 16, 50.0)
    used.add(b"\7" * 16, 200)
    assert used.refuses(b"\10" * 16, 50.0), "no room to remember it"
    assert not used.refuses(b"\10" * 16, 102.0), "some have expired"
    assert used.refuses(b"\7" * 16, 102.0)


def test_what_there_was_no_room_for_is_refused_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "MOST_USED", 2)
    used = UsedTickets()
    for number, expires in enumerate((100, 100, 300)):
        used.add(bytes([number]) * 16, expires)
    assert used.refuses(b"\2" * 16, 299.0), "the others have expired, and this one is not remembered"
    assert not used.refuses(b"\3" * 16, 301.0)


def test_a_full_table_is_not_walked_through_for_each_ticket() -> None:
    """Who presents tickets pays a few steps each, however many were used (RFC 5723 9.3)."""
    used = UsedTickets()
    for number in range(resumption.MOST_USED):
        used.add(number.to_bytes(16, "big"), 100 + number)
    assert used.refuses(bytes(16), 100.0), "it has not expired yet"
    few = resumption.FORGOTTEN_AT_ONCE
    later = 100.0 + 3 * few
    assert not used.refuses(b"\xff" * 16, later), "a part of what has expired makes room"
    last = resumption.MOST_USED - 1
    assert used.refuses(last.to_bytes(16, "big"), later), "it has not expired"
