"""esp.datapath.worker: which SA a packet takes, where it goes, and when it can't."""

from __future__ import annotations

import time
from ipaddress import IPv4Address

import pytest

from esp.ipc.messages import (
    Acquire,
    ActivateOutboundSa,
    BusyChanged,
    RemoveOutboundSa,
    RemoveSaPair,
    SequenceExhausted,
    SequenceLow,
    SetTfcPadding,
    UpdateSaPath,
)
from tests.unit.esp.bed import LOOPBACK, Bed, inbound, outbound, to
from tests.unit.esp.packets import ipv4, ipv6
from tests.unit.esp.peer import Peer, paths, spi_of


def test_narrowest_then_newest(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where, **to("10.2.0.0/24")))
    bed.tell(outbound(2, 0x1002, **where, **to("10.2.0.0/16")))
    bed.sync()
    sent = {"10.2.0.9": 0x1001, "10.2.9.9": 0x1002}
    for destination, spi in sent.items():
        bed.devices[1].send(ipv4(destination=destination))
        assert spi_of(peer.receive()) == spi
    bed.tell(outbound(3, 0x1003, **where, **to("10.2.0.0/24")))
    bed.sync()
    bed.devices[1].send(ipv4(destination="10.2.0.9"))
    assert spi_of(peer.receive()) == 0x1003
    bed.tell(RemoveOutboundSa(3))
    bed.sync()
    bed.devices[1].send(ipv4(destination="10.2.0.9"))
    assert spi_of(peer.receive()) == 0x1001


def test_no_sa_is_counted(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer), **to("10.2.0.0/16")))
    bed.sync()
    bed.devices[1].send(ipv4(destination="10.3.0.1"))
    bed.devices[1].send(ipv6())
    bed.devices[1].send(b"\x00not IP")
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 2, "malformed": 1})
    assert bed.hears_nothing(Acquire)


def test_standby_until_activated(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(outbound(2, 0x1002, **where, standby=True))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    bed.tell(ActivateOutboundSa(2))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1002


def test_standby_until_the_first_valid_packet(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(inbound(2, 0x2002, **where))
    bed.tell(outbound(2, 0x1002, **where, standby=True))
    bed.sync()
    row = bytes(peer.sa(0x2002).seal_batch([ipv4()])[0])
    peer.send(row[:-1] + bytes([row[-1] ^ 1]))
    bed.wait_for(lambda: bed.sa().drops == {"integrity": 1})
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    peer.send(row)
    bed.devices[1].recv(65536)
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1002


@pytest.mark.parametrize("remove", [RemoveOutboundSa, RemoveSaPair])
def test_standby_takes_over_when_the_last_active_one_goes(
    bed: Bed, port: int, peer: Peer, remove: type[RemoveOutboundSa | RemoveSaPair]
) -> None:
    where = paths(port, peer)
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(outbound(2, 0x1002, **where, standby=True))
    bed.tell(remove(1))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1002


def test_removed_child_is_gone_in_both_directions(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(inbound(1, 0x2001, **where))
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(RemoveSaPair(1))
    bed.sync()
    bed.devices[1].send(ipv4())
    peer.send(*peer.sa(0x2001).seal_batch([ipv4()]))
    bed.wait_for(lambda: bed.counters.drops() == {"no_sa": 1, "unknown_spi": 1})


def test_remove_outbound_leaves_inbound(bed: Bed, port: int, peer: Peer) -> None:
    where = paths(port, peer)
    bed.tell(inbound(1, 0x2001, **where))
    bed.tell(outbound(1, 0x1001, **where))
    bed.tell(RemoveOutboundSa(1))
    bed.sync()
    peer.send(*peer.sa(0x2001).seal_batch([ipv4()]))
    assert bed.devices[1].recv(65536) == ipv4()


def test_packets_go_where_update_path_says(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, local_port=port, remote_port=9))
    bed.tell(UpdateSaPath(1, True, LOOPBACK, port, LOOPBACK, peer.port))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert peer.receive()[:4] == b"\x00\x00\x10\x01"


@pytest.mark.parametrize("with_path", [True, False])
def test_tfc_padding_is_changed_with_the_path_or_alone(
    bed: Bed, port: int, peer: Peer, with_path: bool
) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer), tfc_padding=1000))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert len(peer.receive()) == 8 + 8 + 1000 + 4 + 16
    bed.tell(SetTfcPadding(99, 1))  # of a child that is gone
    if with_path:
        bed.tell(UpdateSaPath(1, True, LOOPBACK, port, LOOPBACK, peer.port, 500))
    else:
        bed.tell(SetTfcPadding(1, 500))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert len(peer.receive()) == 8 + 8 + 500 + 2 + 2 + 16


def test_no_socket_for_the_local_address(bed: Bed, port: int, peer: Peer) -> None:
    bed.tell(outbound(1, 0x1001, local_address=IPv4Address("127.0.0.9"), local_port=port))
    bed.sync()
    bed.devices[1].send(ipv4())
    bed.wait_for(lambda: bed.sa().drops == {"no_socket": 1})
    assert bed.sa().out_packets == 0


def test_send_errors_are_counted_and_survived(bed: Bed, port: int, peer: Peer) -> None:
    """A socket bound to loopback can't send elsewhere; 0.0.0.1 is nowhere; 65,535 octets don't fit UDP."""
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.tell(
        outbound(
            2, 0x1002, slot=1, local_port=port, remote_address=IPv4Address("192.0.2.1"), **to("10.3.0.0/16")
        )
    )
    bed.sync()
    bed.devices[1].send(ipv4(payload=bytes(65490)))
    bed.wait_for(lambda: bed.sa().drops == {"too_big": 1})
    bed.devices[1].send(ipv4(destination="10.3.0.1"))
    bed.wait_for(lambda: sum(bed.sa(1).drops.values()) == 1)
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    bed.wait_for(lambda: bed.sa().out_packets == 1)
    assert bed.sa().out_seq == 2


@pytest.mark.parametrize("packets", [1, 20])
def test_control_is_told_when_there_is_much_to_do(bed: Bed, port: int, peer: Peer, packets: int) -> None:
    """And when there is no more than a packet now and then."""
    bed.tell(outbound(1, 0x1001, **paths(port, peer)))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert spi_of(peer.receive()) == 0x1001
    assert bed.hears_nothing(BusyChanged)
    bed.make_busy(lambda: peer.burst(bed.devices[1], ipv4()))
    for _ in range(packets):
        time.sleep(1.2 / packets)
        bed.devices[1].send(ipv4())
    assert not bed.hear(BusyChanged).busy


@pytest.mark.parametrize("packets", [1, 100])
def test_an_sa_goes_on_behind_the_number_that_was_used_last(
    bed: Bed, port: int, peer: Peer, packets: int
) -> None:
    bed.tell(outbound(1, 0x1001, **paths(port, peer), last_sequence=1000))
    bed.sync()
    for _ in range(packets):
        bed.devices[1].send(ipv4())
    sent = [int.from_bytes(peer.receive()[4:8], "big") for _ in range(packets)]
    assert sent == list(range(1001, 1001 + packets))


def test_an_sa_that_has_used_up_its_numbers_elsewhere(bed: Bed, port: int, peer: Peer) -> None:
    """RFC 4303 3.3.3: the number never cycles; control is told to rekey at once."""
    bed.tell(outbound(1, 0x1001, **paths(port, peer), last_sequence=(1 << 32) - 2))
    bed.sync()
    bed.devices[1].send(ipv4())
    assert peer.receive()[4:8] == b"\xff\xff\xff\xff"
    assert bed.hear(SequenceLow) == SequenceLow(1)
    bed.devices[1].send(ipv4())
    assert bed.hear(SequenceExhausted) == SequenceExhausted(1)
    assert peer.receives_nothing()
