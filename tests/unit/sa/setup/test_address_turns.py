"""Which address of a peer is tried next."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address

from ikepy.config.model import Connection
from ikepy.sa.api.path import Address
from ikepy.sa.setup.address_turns import MOST, AddressTurns
from tests.unit.daemon.fakes import connection

OURS, FIRST, SECOND = (IPv4Address(f"192.0.2.{number}") for number in range(3))
A, B = (Connection.model_validate(connection(name)) for name in "ab")


def resolve(_: Connection, failed: Collection[Address]) -> tuple[Address, Address] | str:
    return OURS, min((FIRST, SECOND), key=lambda one: one in failed)


def test_after_a_failure_the_next_one_and_after_a_success_the_first() -> None:
    turns = AddressTurns(resolve)
    turns.fails(A, FIRST)
    assert turns.next(A) == (OURS, SECOND) and turns.has_another(A)
    assert turns.next(B) == (OURS, FIRST) and not turns.has_another(B)
    turns.begun(A, SECOND)
    turns.succeeds(A)
    assert turns.next(A) == (OURS, FIRST)


def test_when_all_have_failed_a_new_round_begins() -> None:
    turns = AddressTurns(resolve)
    turns.fails(A, FIRST)
    turns.fails(A, SECOND)
    assert turns.next(A) == (OURS, FIRST) and not turns.has_another(A)
    turns.begun(A, FIRST)
    turns.fails(A, FIRST)
    assert turns.next(A) == (OURS, SECOND)


def test_an_address_that_is_not_known_is_none() -> None:
    turns = AddressTurns(lambda connection, failed: "no such name")
    turns.fails(A, FIRST)
    assert turns.next(A) == "no such name" and not turns.has_another(A)


def test_a_name_that_means_others_each_time_costs_no_memory() -> None:
    given: list[int] = []

    def counted(_: Connection, failed: Collection[Address]) -> str:
        given.append(len(failed))
        return ""

    turns = AddressTurns(counted)
    for number in range(10 * MOST):
        turns.fails(A, IPv4Address(number))
        turns.next(A)
    assert max(given) <= MOST


def test_connections_that_are_gone_are_forgotten() -> None:
    turns = AddressTurns(resolve)
    turns.fails(A, FIRST)
    turns.fails(B, FIRST)
    turns.keep({"b"})
    assert turns.next(A) == (OURS, FIRST) and turns.next(B) == (OURS, SECOND)
