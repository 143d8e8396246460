"""Counters of exchanges: by header, by connection once it is known; bounded for those that never come up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.bus.daemon_events import ConnectionRemoved
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.vici.exchange_counters import MOST_REKEYED, MOST_UNKNOWN, NAMES, ExchangeCounters
from ikepy.sa.api.ends import End
from ikepy.sa.api.events import ChildRekeyed, IkeDown, IkeRekeyed, IkeUp
from ikepy.wire.constants import ExchangeType, PayloadType
from tests.unit.daemon.fakes import ike_info

SA = ike_info(1, 5, 6)


def message(
    exchange: int, *, spi: bytes = SA.spi_i, response: bool = False, first: int = 33, fragment: int = 1
) -> bytes:
    """A header (RFC 7296 3.1), and the fields that a fragment has behind it (RFC 7383 2.5)."""
    header = spi + bytes(8) + bytes((first, 0x20, exchange, 0x20 if response else 0)) + bytes(8)
    return header + bytes(4) + fragment.to_bytes(2, "big") + bytes(20)


def made(unserved: dict[str, int] | None = None) -> tuple[EventBus, ExchangeCounters]:
    bus = EventBus()
    return bus, ExchangeCounters(bus, lambda: unserved or {})


def counted(counters: ExchangeCounters, connection: str | None = None) -> dict[str, int]:
    return {name: number for name, number in (counters.get(connection) or {}).items() if number}


def test_what_went_before_an_ike_sa_is_up_is_its_connections() -> None:
    bus, counters = made()
    counters.sent(message(ExchangeType.IKE_SA_INIT))
    counters.received(message(ExchangeType.IKE_SA_INIT, response=True))
    assert counters.get("a") is None and counters.connections == ()
    bus.publish(IkeUp(SA))
    counters.received(message(ExchangeType.INFORMATIONAL))
    expected = {"ike-init-out-req": 1, "ike-init-in-resp": 1, "info-in-req": 1}
    assert counted(counters, "a") == expected == counted(counters)
    bus.publish(IkeDown(SA, End.DELETED, None, ""))
    counters.received(message(ExchangeType.INFORMATIONAL))
    assert counted(counters, "a") == expected
    assert counted(counters)["info-in-req"] == 2


@pytest.mark.parametrize(("initiator", "name"), [(True, "ike-rekey-init"), (False, "ike-rekey-resp")])
def test_rekeys(initiator: bool, name: str) -> None:
    bus, counters = made()
    new = replace(ike_info(2), initiator=initiator)
    bus.publish(IkeUp(SA))
    bus.publish(ChildRekeyed(SA, *SA.children))
    bus.publish(IkeRekeyed(SA, new))
    counters.sent(message(ExchangeType.CREATE_CHILD_SA, spi=new.spi_i, response=True))
    assert counted(counters, "a") == {"child-rekey": 1, name: 1, "create-child-out-resp": 1}


def test_the_delete_of_a_rekeyed_ike_sa_is_its_connections() -> None:
    bus, counters = made()
    bus.publish(IkeUp(SA))
    bus.publish(IkeRekeyed(SA, ike_info(2)))
    counters.sent(message(ExchangeType.INFORMATIONAL))
    counters.received(message(ExchangeType.INFORMATIONAL, response=True))
    expected = {"ike-rekey-init": 1, "info-out-req": 1, "info-in-resp": 1}
    assert counted(counters, "a") == expected == counted(counters)
    bus.publish(ConnectionRemoved("a", "vti0"))
    counters.received(message(ExchangeType.INFORMATIONAL, response=True))
    assert not counters.connections


def test_of_rekeyed_ike_sas_the_last_are_known() -> None:
    bus, counters = made()
    spis = [(number + 1000).to_bytes(8, "big") for number in range(MOST_REKEYED + 2)]
    for former, new in pairwise(spis):
        bus.publish(IkeRekeyed(replace(SA, spi_i=former), replace(SA, spi_i=new)))
    for spi in spis:
        counters.sent(message(ExchangeType.INFORMATIONAL, spi=spi))
    assert counted(counters, "a")["info-out-req"] == MOST_REKEYED + 1


def test_fragments_count_once_and_other_exchanges_not() -> None:
    _, counters = made()
    for number in (1, 2, 3):
        counters.sent(message(ExchangeType.IKE_AUTH, first=PayloadType.SKF, fragment=number))
    counters.sent(message(ExchangeType.IKE_INTERMEDIATE))
    counters.sent(message(250))
    assert counted(counters) == {"ike-auth-out-req": 1}


def test_strangers_are_bounded() -> None:
    bus, counters = made()
    counters.sent(message(ExchangeType.IKE_SA_INIT))
    for number in range(MOST_UNKNOWN + 5):
        counters.received(message(ExchangeType.IKE_SA_INIT, spi=number.to_bytes(8, "big")))
    bus.publish(IkeUp(SA))  # what was counted of it is forgotten; it goes on
    counters.sent(message(ExchangeType.INFORMATIONAL))
    assert counted(counters, "a") == {"info-out-req": 1}
    assert counted(counters)["ike-init-in-req"] == MOST_UNKNOWN + 5


def test_a_removed_connection_leaves_nothing() -> None:
    bus, counters = made()
    bus.publish(IkeUp(SA))
    counters.sent(message(ExchangeType.INFORMATIONAL))
    bus.publish(IkeDown(SA, End.DELETED, None, ""))
    bus.publish(ConnectionRemoved("b", "vti1"))
    assert counters.get("a") is not None
    bus.publish(ConnectionRemoved("a", "vti0"))
    assert not counters.connections


def test_resets() -> None:
    unserved = {"malformed messages": 3, "malformed IKE_SA_INIT requests": 1, "messages for no IKE_SA": 2}
    bus, counters = made(unserved)
    assert counted(counters) == {}  # from the daemon's start on there is nothing else
    unserved |= {"malformed messages": 5, "messages for no IKE_SA": 9}
    bus.publish(IkeUp(SA))
    counters.sent(message(ExchangeType.INFORMATIONAL))
    assert counted(counters) == {"invalid": 2, "invalid-spi": 7, "info-out-req": 1}
    counters.reset("b")
    counters.reset(None)
    assert counted(counters) == {} and counted(counters, "a") == {"info-out-req": 1}
    counters.reset("a")
    assert counters.get("a") is None
    counters.sent(message(ExchangeType.INFORMATIONAL))
    counters.reset(None, every=True)
    assert counters.connections == () and counted(counters) == {"info-out-req": 1}
    assert list(counters.get(None) or {}) == list(NAMES)


@given(st.binary(max_size=60))
def test_any_octets(datagram: bytes) -> None:
    _, counters = made()
    counters.received(datagram)
    counters.sent(datagram)
