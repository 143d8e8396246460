"""Packets of many SAs, sealed and opened together, are what they would be one by one, and so are counters."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv6Address
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp.ipc.messages import NotPermitted, PeerMoved, SequenceLow, UpdateSaPath
from esp.packet.drop_reasons import Drop
from esp.packet.headers import NEXT_HEADER, Buffer
from esp.packet.selectors import Selector
from esp.sa import batch
from esp.sa.inbound import OpenedBatch
from esp.sa.outbound import LIMIT, OutboundSa
from tests.property.many_sas import (
    CHACHA,
    COUNT,
    EACH,
    FIRST,
    NOBODY,
    PLAIN_SAS,
    UNUSUAL,
    Kind,
    ManySas,
    Refusing,
    assert_sent_alike,
    many_sas,
    packet,
)
from tests.property.packet_sequences import filled
from tests.unit.esp.bed import DEVICE, GCM, LOOPBACK, inbound, outbound
from tests.unit.esp.packets import keys_for
from tests.unit.tun.plain import UDP, Flow, Packet

turns = st.one_of(
    st.permutations(range(COUNT)),  # each once
    st.lists(EACH, max_size=30),
    st.lists(st.integers(0, NOBODY), max_size=12),
    st.tuples(EACH, st.integers(1, 20)).map(lambda flow: [flow[0]] * flow[1]),
)
traffic = st.lists(
    st.tuples(turns, st.sampled_from([0, 36, 37, 1000]), st.sampled_from([0, 0, 0xB8])), max_size=5
)


def out_as_one_by_one(sas: Sequence[Kind], packets: Sequence[bytes]) -> None:
    with ManySas(sas) as together, ManySas(sas, apart=True) as apart:
        for bed in (together, apart):
            bed.send_all(packets)
        assert_sent_alike(together, apart)


@given(many_sas(), traffic)
@settings(deadline=None)
def test_out_as_one_by_one(sas: list[Kind], work: list[tuple[list[int], int, int]]) -> None:
    out_as_one_by_one(sas, [packet(number, size, tos) for numbers, size, tos in work for number in numbers])


@pytest.mark.parametrize("kind", UNUSUAL, ids=str)
@pytest.mark.parametrize("at", [0, 3])
def test_one_is_unlike_the_others(kind: Kind, at: int) -> None:
    sas = [Kind()] * COUNT
    sas[at] = kind
    numbers = [*range(COUNT), *[at] * 10, *range(COUNT), *[1] * 10, *range(COUNT)]
    out_as_one_by_one(sas, [packet(number, 100) for number in numbers])
    for mishaps in ({}, {3: "forged"}, {3: "again"}):
        in_as_one_by_one(sas, [1] * 10, mishaps)
        in_as_one_by_one(sas, [*range(COUNT), *range(COUNT)], mishaps)


def test_salts_of_one_sa_and_of_many_in_turn() -> None:
    numbers = [*[1] * 10, *range(COUNT)] * 2
    with ManySas([Kind()] * COUNT) as together, ManySas([Kind()] * COUNT, apart=True) as apart:
        ends = together.senders()
        for part in ([1] * 10, range(COUNT)) * 2:
            rows = [bytes(ends[number].seal_batch([packet(number, 9, back=True)])[0]) for number in part]
            for bed in (together, apart):
                bed.take_in(rows)
        assert together.delivered() == [packet(number, 9, back=True) for number in numbers]
        assert together.all_counters() == apart.all_counters()


MISHAPS = ["forged", "again", "stranger", "refused", "longer", "long", "other", "headless", "dummy"]
mishaps = st.dictionaries(st.integers(0, 30), st.sampled_from(MISHAPS), max_size=2)


def in_as_one_by_one(sas: Sequence[Kind], arriving: Sequence[int], mishaps: Mapping[int, str]) -> None:
    """`long`: a shorter packet with more padding; `longer`: one that claims to be shorter, with TFC padding;
    both in ESP packets of the usual size. `other`: of another IP version. `headless`: no IP header fits."""
    with ManySas(sas) as together, ManySas(sas, apart=True) as apart:
        senders = together.senders()
        rows: dict[int, list[bytes]] = {}
        before: dict[int, bytes] = {}
        for index, number in enumerate(each % COUNT for each in arriving):
            mishap = mishaps.get(index, "")
            inner = packet(NOBODY if mishap == "refused" else number, 38 - (mishap == "long"), back=True)
            if mishap == "longer":
                inner = packet(number, 34, back=True) + bytes(4)
            if mishap == "headless":
                inner = bytes((0x41,)) + inner[1:]
            if mishap == "other":
                inner = Packet(Flow(version=6, protocol=UDP), bytes(18)).octets()
            with pytest.MonkeyPatch.context() as patch:
                if mishap == "dummy":  # RFC 4303 2.6
                    patch.setitem(NEXT_HEADER, 4, 59)
                row = bytes(senders[number].seal_batch([inner])[0])
            if mishap == "forged":
                row = row[:-1] + bytes((row[-1] ^ 1,))
            elif mishap == "stranger":
                row = (FIRST + NOBODY).to_bytes(4, "big") + row[4:]
            elif mishap == "again":
                row = before.get(number, row)
            before[number] = row
            rows.setdefault(len(row), []).append(row)
        for each in rows.values():
            for bed in (together, apart):
                bed.take_in(each)
        assert together.delivered() == apart.delivered()
        assert together.all_counters() == apart.all_counters()
        assert together.counters.drops() == apart.counters.drops()
        kinds = [sorted(type(one).__name__ for one in bed.said) for bed in (together, apart)]
        assert kinds[0] == kinds[1]


@given(many_sas(), turns, mishaps)
@settings(deadline=None)
def test_in_as_one_by_one(sas: list[Kind], arriving: list[int], mishaps: dict[int, str]) -> None:
    in_as_one_by_one(sas, arriving, mishaps)


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("at", [0, 3])
def test_one_packet_is_unlike_the_others(mishap: str, at: int) -> None:
    in_as_one_by_one([Kind()] * COUNT, range(COUNT), {at: mishap})
    in_as_one_by_one([Kind()] * COUNT, [*range(COUNT), *range(COUNT)], {COUNT + at: mishap})


@contextmanager
def watched(name: str) -> Iterator[list[object]]:
    """The results of a function of `esp.sa.batch`."""
    results: list[object] = []
    real = getattr(batch, name)

    def call(*arguments: object) -> object:
        results.append(real(*arguments))
        return results[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, name, call)
        yield results


def sizes(results: Sequence[object]) -> list[int]:
    """The inner lengths of what `open_rows` found uniform."""
    found = [cast(list[OpenedBatch], each)[0].rows for each in results]
    return [rows.size for rows in found if rows is not None]


@pytest.mark.parametrize("esn", [False, True])
def test_they_do_share_a_batch(esn: bool) -> None:
    """SAs in turn: one batch, one send, one number more for each, and all of it comes back."""
    with ManySas([Kind(suite, esn) for suite in (GCM, CHACHA) * 4]) as bed, watched("seal_runs") as sealed:
        bed.peer.setsockopt(17, 104, 1)  # what left together is read together
        bed.send_all([packet(number % COUNT, 100) for number in range(3 * COUNT)])
        assert [cast(tuple[object, object], each)[0] for each in sealed] == [(1,) * (3 * COUNT)]
        (layout,) = bed.sent()
        size = len(layout) // (3 * COUNT)
        rows = [bytes(layout[at : at + size]) for at in range(0, len(layout), size)]
        heads = [(int.from_bytes(row[:4], "big") - FIRST, int.from_bytes(row[4:8], "big")) for row in rows]
        assert heads == [(number, times) for times in (1, 2, 3) for number in range(COUNT)]
        ends = bed.senders()
        back = [end.seal_batch([packet(number, 100, back=True)])[0] for number, end in enumerate(ends)]
        with watched("open_rows") as opened:
            bed.arrive(back)
        assert sizes(opened) == [128]
        assert bed.delivered() == [packet(number, 100, back=True) for number in range(COUNT)]
        assert bed.ingress.delivery.authentic == COUNT


def packet6(number: int, *, back: bool = False) -> bytes:
    """To the IPv6 address of an SA, or back from it: all of them differ in their last octet only."""
    octets = bytearray(Packet(Flow(version=6, protocol=UDP), filled(100, b"data")).octets())
    there, here = IPv6Address(f"fd09::{number}").packed, IPv6Address("fd02::1").packed
    octets[8:40] = there + here if back else here + there
    return bytes(octets)


def test_ipv6_does_share_a_batch() -> None:
    """A packet is under the SA for all of its addresses."""
    with ManySas([]) as bed, watched("seal_runs") as sealed, watched("open_rows") as opened:
        ends = {"local_port": bed.port, "remote_port": bed.peer_port}
        for number in range(COUNT):
            child, spi = 100 + number, FIRST + number
            here, there = (Selector.of("fd02::/64"),), (Selector.of(f"fd09::{number}/128"),)
            narrow = {"slot": number, "ts_local": here, "ts_remote": there, **ends}
            bed.database.install_outbound(outbound(child, spi, **narrow))
            bed.database.install_inbound(inbound(child, spi, **narrow))
        order = [*range(COUNT), *reversed(range(COUNT))]
        bed.send_all([packet6(number) for number in order])
        assert len(sealed) == 1
        assert [int.from_bytes(each[:4], "big") - FIRST for each in bed.sent()] == order
        assert [one.out_packets for one in bed.all_counters()[:COUNT]] == [2] * COUNT
        peers = [OutboundSa(FIRST + n, GCM, keys_for(GCM, FIRST + n), False) for n in range(COUNT)]
        for _ in range(2):  # addresses that are not known yet, and known ones
            bed.arrive([end.seal_batch([packet6(n, back=True)])[0] for n, end in enumerate(peers)])
            assert bed.delivered() == [packet6(number, back=True) for number in range(COUNT)]
        assert sizes(opened) == [len(packet6(0))] * 2
        foreign = [end.seal_batch([packet6(n ^ 1, back=True)])[0] for n, end in enumerate(peers)]
        bed.arrive(foreign)
        assert bed.delivered() == []
        assert [one.drops for one in bed.all_counters()[:COUNT]] == [{Drop.SELECTORS.text: 1}] * COUNT


def test_numbers_taken_when_sealing_breaks_are_not_used_again() -> None:
    with ManySas(PLAIN_SAS) as bed:
        sas = [bed.outbound_of(number).sa for number in range(COUNT)]
        seen: list[bytes] = []
        member = sas[5].aead
        assert member is not None
        seal = member.call

        def broken_once(nonce: Buffer, text: memoryview, associated: Buffer, body: memoryview) -> None:
            seen.append(bytes(nonce))
            if len(seen) == 1:
                raise KeyError("broken")
            seal(nonce, text, associated, body)

        sas[5].aead = member._replace(call=broken_once)
        with pytest.raises(KeyError):
            bed.send_all([packet(number, 100) for number in range(COUNT)])
        assert bed.sent() == []
        assert [sa.sequence for sa in sas] == [1] * COUNT
        assert [one.out_seq for one in bed.all_counters()[:COUNT]] == [1] * COUNT
        bed.send_all([packet(number, 100) for number in range(COUNT)])
        assert [one[4:8] for one in bed.sent()] == [bytes((0, 0, 0, 2))] * COUNT
        assert seen == [keys_for(GCM, FIRST + 5)[-4:] + bytes((*bytes(7), number)) for number in (1, 2)]


def test_what_changes_between_batches() -> None:
    """A new SA, another path, TFC padding, one SA less: the next packets are sent accordingly."""
    with ManySas(PLAIN_SAS) as bed:
        packets = [packet(number, 100) for number in range(COUNT)]
        sa, spis = bed.outbound_of(0).sa, [FIRST + number for number in range(COUNT)]
        size = sa.esp_length(len(packets[0]))

        def send() -> list[tuple[int, int]]:
            bed.send_all(packets)
            return [(int.from_bytes(each[:4], "big"), len(each)) for each in bed.sent()]

        for _ in range(2):
            assert send() == [(spi, size) for spi in spis]
        ends = {"local_port": bed.port, "remote_port": bed.peer_port}
        there = {"ts_local": (Selector.of("10.2.0.0/16"),), "ts_remote": (Selector.of("10.9.0.2/32"),)}
        bed.database.install_outbound(outbound(300, 900, esn=True, **ends, **there))
        spis[2] = 900
        for _ in range(2):
            assert send() == [(spi, size) for spi in spis]
        bed.database.update_path(UpdateSaPath(103, True, LOOPBACK, bed.port, LOOPBACK, 9, 0))
        for _ in range(2):
            assert send() == [(spi, size) for spi in spis if spi != FIRST + 3]
        bed.database.update_path(UpdateSaPath(103, True, LOOPBACK, bed.port, LOOPBACK, bed.peer_port, 600))
        for _ in range(2):
            assert send() == [(spi, sa.esp_length(600) if spi == FIRST + 3 else size) for spi in spis]
        bed.database.update_path(UpdateSaPath(103, True, LOOPBACK, bed.port, LOOPBACK, bed.peer_port, 0))
        bed.database.remove_pair(105)
        del spis[5]
        for _ in range(2):
            assert send() == [(spi, size) for spi in spis]


@pytest.mark.parametrize("esn", [False, True])
def test_the_end_of_the_numbers_is_near(esn: bool) -> None:
    """One that is nearly used up makes all go one by one, and control hears of it once."""
    with ManySas([Kind(esn=esn)] * (COUNT - 1) + [Kind(esn=esn, left=3)]) as bed:
        for _ in range(3):
            bed.send_all([packet(number, 100) for number in range(COUNT)])
        assert bed.said == [SequenceLow(100 + COUNT - 1)]
        bed.outbound_of(COUNT - 1).sa.sequence = LIMIT[esn] - 1
        for _ in range(2):
            bed.send_all([packet(number, 100) for number in range(COUNT)])
        assert bed.counters.sa(COUNT - 1).drops == {Drop.EXHAUSTED.text: 1}
        assert len(bed.sent()) == 5 * COUNT - 1


def test_what_is_not_sent_is_counted_under_its_sa() -> None:
    with ManySas(PLAIN_SAS, wrap=lambda sock: cast(socket.socket, Refusing(sock))) as bed:
        bed.send_all([packet(number, 100) for number in range(COUNT)])
        for one in bed.all_counters()[:COUNT]:
            assert (one.out_packets, one.out_seq, one.drops) == (0, 1, {Drop.REFUSED.text: 1})
        bed.egress.set_transports([])
        bed.send_all([packet(number, 100) for number in range(COUNT)])
        assert bed.counters.sa(3).drops == {Drop.REFUSED.text: 1, Drop.NO_SOCKET.text: 1}


def test_a_peer_that_moved() -> None:
    """It is reported as if each had come alone."""
    with ManySas([Kind(), Kind(other_port=True)] * 4) as bed:
        rows = [end.seal_batch([packet(n, 100, back=True)])[0] for n, end in enumerate(bed.senders())]
        bed.arrive(rows)
        moved = [one for one in bed.said if isinstance(one, PeerMoved)]
        assert [one.child_id for one in moved] == [101, 103, 105, 107]
        assert len(bed.delivered()) == COUNT


def test_the_first_packet_wakes_the_sa_that_stands_by() -> None:
    with ManySas([Kind(), Kind(standby=True)] * 4) as bed:
        assert bed.database.outbound(DEVICE, packet(1, 0)) is None
        bed.arrive([end.seal_batch([packet(n, 9, back=True)])[0] for n, end in enumerate(bed.senders())])
        assert [bed.outbound_of(number).active for number in range(COUNT)] == [True] * COUNT
        bed.send_all([packet(number, 100) for number in range(COUNT)])
        assert len(bed.sent()) == COUNT


def test_one_forged_and_one_not_permitted_among_good_ones() -> None:
    with ManySas(PLAIN_SAS) as bed:
        ends = bed.senders()
        inner = [packet(NOBODY if number == 2 else number, 100, back=True) for number in range(COUNT)]
        rows = [bytes(end.seal_batch([one])[0]) for end, one in zip(ends, inner, strict=True)]
        rows[4] = rows[4][:30] + bytes((rows[4][30] ^ 1,)) + rows[4][31:]
        with watched("open_rows") as opened:
            bed.arrive(rows)
        (batches,) = cast(list[list[OpenedBatch]], opened)
        assert [one.drops for one in batches if one.drops] == [{Drop.SELECTORS: 1}, {Drop.INTEGRITY: 1}]
        assert bed.delivered() == inner[:2] + inner[3:4] + inner[5:]
        assert (bed.counters.sa(2).drops, bed.counters.sa(4).drops) == ({"selectors": 1}, {"integrity": 1})
        assert [type(one) for one in bed.said] == [NotPermitted]
        bed.arrive(rows)
        assert bed.delivered() == []


def test_one_packet_twice_in_a_batch() -> None:
    with ManySas(PLAIN_SAS) as bed:
        rows = [end.seal_batch([packet(n, 100, back=True)])[0] for n, end in enumerate(bed.senders())]
        bed.arrive([*rows, rows[3], rows[0]])
        assert len(bed.delivered()) == COUNT
        assert [bed.counters.sa(slot).drops for slot in (0, 1, 3)] == [{"replay": 1}, {}, {"replay": 1}]


@pytest.mark.parametrize("outer", [1, 3])
def test_congestion_marks(outer: int) -> None:
    """RFC 6040 4.2: what has to be carried over goes one by one."""
    with ManySas(PLAIN_SAS) as bed:
        bed.peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, outer)
        inner = [packet(number, 100, tos=2, back=True) for number in range(COUNT)]
        bed.arrive([end.seal_batch([one])[0] for end, one in zip(bed.senders(), inner, strict=True)])
        assert [one[1] for one in bed.delivered()] == [outer] * COUNT


def test_the_last_datagram_may_be_shorter() -> None:
    with ManySas(PLAIN_SAS) as bed:
        sizes = [100] * (COUNT - 1) + [40]
        inner = [packet(number, size, back=True) for number, size in enumerate(sizes)]
        bed.arrive([end.seal_batch([one])[0] for end, one in zip(bed.senders(), inner, strict=True)])
        assert bed.delivered() == inner
        assert bed.counters.drops() == {}
