"""esp.datapath.sa_database: which SA is chosen, what stands by, what is refused."""

from __future__ import annotations

import copy
import pickle
from ipaddress import IPv6Address

import pytest

from esp.datapath.outbound_index import CACHE_LIMIT
from esp.datapath.sa_database import InstallError, SaDatabase
from esp.ipc.messages import AddInboundSa, UpdateSaPath
from esp.packet.selectors import Selector
from tests.unit.esp.bed import LOOPBACK, inbound, outbound, to
from tests.unit.esp.packets import ANY, TCP, UDP, ipv4, ipv6, ports


def chosen(database: SaDatabase, packet: bytes, device: int = 1) -> int | None:
    """The child whose outbound SA takes the packet; asked twice, the second answer is a remembered one."""
    first, second = database.outbound(device, packet), database.outbound(device, packet)
    assert first is second
    return None if first is None else first.child_id


def test_devices_do_not_share_sas() -> None:
    database = SaDatabase()
    database.install_outbound(outbound(1, 0x101))
    database.install_outbound(outbound(2, 0x102, device_id=2))
    assert [chosen(database, ipv4(), device) for device in (1, 2, 3)] == [1, 2, None]
    database.remove_device(1)
    assert [chosen(database, ipv4(), device) for device in (1, 2)] == [None, 2]


def test_every_change_is_seen_at_once() -> None:
    database = SaDatabase()
    assert chosen(database, ipv4()) is None
    database.install_outbound(outbound(1, 0x101))
    assert chosen(database, ipv4()) == 1
    database.install_outbound(outbound(2, 0x102, standby=True))
    assert chosen(database, ipv4()) == 1
    assert database.activate(2) == 1
    assert chosen(database, ipv4()) == 2
    database.remove_pair(2)
    assert chosen(database, ipv4()) == 1
    database.remove_pair(1)
    assert chosen(database, ipv4()) is None


def test_ports_choose_once_one_sa_looks_at_them() -> None:
    database = SaDatabase()
    database.install_outbound(outbound(1, 0x101))
    web, dns = ipv4(payload=ports(9, 80), protocol=TCP), ipv4(payload=ports(9, 53), protocol=UDP)
    assert [chosen(database, packet) for packet in (web, dns)] == [1, 1]
    web_only = (Selector.of("0.0.0.0/0", TCP, 80, 80),)
    database.install_outbound(outbound(2, 0x102, ts_remote=web_only))
    assert [chosen(database, packet) for packet in (web, dns)] == [2, 1]
    database.remove_pair(2)
    assert [chosen(database, packet) for packet in (web, dns)] == [1, 1]


def test_both_versions() -> None:
    database = SaDatabase()
    database.install_outbound(outbound(4, 0x104, ts_local=ANY[:1], ts_remote=ANY[:1]))
    database.install_outbound(outbound(6, 0x106, ts_local=ANY[1:], ts_remote=ANY[1:]))
    assert [chosen(database, packet) for packet in (ipv4(), ipv6())] == [4, 6]


def test_many_flows_stay_right() -> None:
    database = SaDatabase()
    database.install_outbound(outbound(1, 0x101, **to("10.2.0.0/17")))
    for index in range(CACHE_LIMIT + 100):
        half = index % 2
        packet = ipv4(destination=f"10.2.{128 * half + (index >> 8)}.{index & 255}")
        assert chosen(database, packet) == (None if half else 1)


def test_a_standby_sa_with_other_selectors_keeps_standing_by() -> None:
    database = SaDatabase()
    database.install_outbound(outbound(1, 0x101, **to("10.2.0.0/16")))
    database.install_outbound(outbound(2, 0x102, **to("10.3.0.0/16"), standby=True))
    assert database.remove_outbound(1) is None
    assert chosen(database, ipv4(destination="10.3.0.1")) is None


def test_a_standby_sa_keeps_standing_by_while_one_like_it_is_active() -> None:
    database = SaDatabase()
    for child, standby in ((1, False), (2, False), (3, True)):
        database.install_outbound(outbound(child, 0x100 + child, standby=standby))
    assert database.remove_outbound(1) is None
    assert chosen(database, ipv4()) == 2
    assert database.remove_outbound(2) == 1
    assert chosen(database, ipv4()) == 3


def test_the_oldest_of_two_that_stand_by_takes_over() -> None:
    """The peer is ready for that one, if for any."""
    database = SaDatabase()
    for child, standby in ((1, False), (2, True), (3, True)):
        database.install_outbound(outbound(child, 0x100 + child, standby=standby))
    assert database.remove_outbound(1) == 1
    assert chosen(database, ipv4()) == 2


def test_what_is_not_there_is_no_error() -> None:
    database = SaDatabase()
    assert database.activate(1) is None
    assert database.remove_outbound(1) is None
    assert database.remove_pair(1) is None
    database.remove_device(1)
    database.update_path(UpdateSaPath(1, True, LOOPBACK, 1, LOOPBACK, 2))
    assert database.inbound(0x100) is None
    assert not database.knows(1)


def test_update_path_is_for_both_directions() -> None:
    database = SaDatabase()
    database.install_inbound(inbound(1, 0x101))
    database.install_outbound(outbound(1, 0x201))
    database.update_path(UpdateSaPath(1, False, LOOPBACK, 1, LOOPBACK, 2))
    entries = (database.inbound(0x101), database.outbound(1, ipv4()))
    assert [(e.path.encap, e.path.remote_port) for e in entries if e is not None] == [(False, 2)] * 2
    with pytest.raises(ValueError, match="versions"):
        database.update_path(UpdateSaPath(1, False, LOOPBACK, 1, IPv6Address("::1"), 2))


@pytest.mark.parametrize("again", [inbound(1, 0x999), inbound(2, 0x101)])
def test_inbound_again(again: AddInboundSa) -> None:
    """The same child under another SPI; the same keys (they follow from the SPI here) for another child."""
    database = SaDatabase()
    database.install_inbound(inbound(1, 0x101))
    database.remove_pair(1)
    with pytest.raises(InstallError, match="installed before"):
        database.install_inbound(again)


def test_both_directions_may_have_the_same_keys() -> None:
    """An SA to oneself, or a peer that we are ourselves in a test."""
    database = SaDatabase()
    database.install_inbound(inbound(1, 0x101))
    database.install_outbound(outbound(1, 0x101))
    assert database.knows(1)


def test_sas_that_go_on_from_elsewhere() -> None:
    database = SaDatabase()
    database.install_inbound(inbound(1, 0x101, esn=True, replay_top=7 << 32))
    database.install_outbound(outbound(1, 0x101, esn=True, last_sequence=9 << 32))
    out, into = database.outbound(1, ipv4()), database.inbound(0x101)
    assert out is not None and into is not None
    assert out.sa.sequence == 9 << 32
    assert into.sa.check(1) == (7 << 32) + 1
    assert into.sa.check(0) is None


@pytest.mark.parametrize("esn", [False, True])
def test_sas_that_go_on_beyond_their_last_number(esn: bool) -> None:
    database, beyond = SaDatabase(), 1 << 64 if esn else 1 << 32
    with pytest.raises(InstallError, match="no sequence number"):
        database.install_inbound(inbound(1, 0x101, esn=esn, replay_top=beyond))
    with pytest.raises(InstallError, match="no sequence number"):
        database.install_outbound(outbound(1, 0x101, esn=esn, last_sequence=beyond))
    assert not database.knows(1)


def test_a_later_sequence_number_is_no_way_around_the_refusal() -> None:
    """An SA goes on where another process left it; it is not installed again where it has been."""
    database = SaDatabase()
    database.install_outbound(outbound(1, 0x101))
    database.remove_pair(1)
    with pytest.raises(InstallError, match="installed before"):
        database.install_outbound(outbound(1, 0x101, last_sequence=1 << 20))
    with pytest.raises(InstallError, match="installed before"):
        database.install_outbound(outbound(2, 0x101, last_sequence=1 << 20))


def test_neither_copied_nor_pickled() -> None:
    database = SaDatabase()
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(database)
