"""The table of what names mean."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from ikepy.config.model import DnsName
from ikepy.sa.api.names import MOST, NameTable, names_of

NAME, OTHER = DnsName("vpn.example"), DnsName("other.example")
FIRST, SECOND = ip_address("192.0.2.1"), ip_address("2001:db8::1")


def test_what_is_not_looked_up_has_no_address_and_says_why() -> None:
    table = NameTable()
    assert table.addresses(NAME) == ()
    assert table.failures([NAME, FIRST]) == ["vpn.example: not looked up yet"]


def test_addresses_stand_in_the_place_of_their_name_each_once() -> None:
    table = NameTable()
    table.learn(NAME, [SECOND, FIRST, SECOND])
    assert table.fixed(["%any", FIRST, NAME, OTHER]) == [FIRST, SECOND]
    assert table.fixed([NAME, FIRST]) == [SECOND, FIRST]
    assert table.failures([NAME]) == []


def test_silence_keeps_the_addresses_and_a_servers_word_does_not() -> None:
    table = NameTable()
    table.learn(NAME, [FIRST])
    table.fail(NAME, "no name server answers", gone=False)
    assert table.addresses(NAME) == (FIRST,) and table.failures([NAME])
    table.fail(NAME, "no such name", gone=True)
    assert table.addresses(NAME) == ()


def test_changes_are_counted_and_another_order_is_none() -> None:
    table = NameTable()
    table.learn(NAME, [FIRST, SECOND])
    table.learn(NAME, [SECOND, FIRST])
    table.fail(NAME, "silence", gone=False)
    table.fail(OTHER, "no such name", gone=True)
    assert table.changes == 1
    table.keep([OTHER])
    assert table.changes == 2 and table.addresses(NAME) == ()


def test_a_name_with_many_addresses_has_a_bound() -> None:
    table = NameTable()
    table.learn(NAME, map(IPv4Address, range(1000)))
    assert len(table.addresses(NAME)) == MOST


def test_names_among_patterns() -> None:
    assert names_of(["%any", FIRST, NAME]) == (NAME,)
