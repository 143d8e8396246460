"""Frames of several SAs, sealed together, are what they would be one by one, and so are counters."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp.datapath.gso_batch import GsoBatch
from esp.packet.drop_reasons import Drop
from esp.packet.headers import Buffer
from esp.sa import batch
from esp.sa.outbound import LIMIT
from esp.sa.suites import CHACHA20_POLY1305, suite_for
from tests.property.many_sas import (
    COUNT,
    EACH,
    FIRST,
    PLAIN_SAS,
    UNUSUAL,
    Kind,
    ManySas,
    Refusing,
    address,
    assert_sent_alike,
    many_sas,
    packet,
)
from tests.property.packet_sequences import filled
from tests.property.test_egress_batches import FailingSocket, errors, failing
from tests.unit.esp.bed import GCM
from tests.unit.tun.plain import Flow, Packet
from tun.virtio import PLAIN

CHACHA = suite_for(CHACHA20_POLY1305, None, None)
GSO = 500
# To the address of which SA, how many segments, octets that the last one lacks, TOS
Frame = tuple[int, int, int, int]
frames = st.lists(
    st.tuples(EACH, st.integers(1, 50), st.sampled_from([0, 0, 0, 1, 5, 499]), st.sampled_from([0, 0, 2])),
    max_size=12,
)


pytestmark = pytest.mark.usefixtures("turns_without_haste")


def octets(number: int, count: int, lacks: int = 0, tos: int = 0) -> bytes:
    """A frame as the device hands it over."""
    payload = filled(count * GSO - lacks, b"data")
    made = bytearray(Packet(Flow(tos=tos), payload).frame(GSO))
    made[len(PLAIN) + 12 : len(PLAIN) + 20] = bytes((10, 2, 0, 1)) + address(number)
    return bytes(made)


def send_frames(bed: ManySas, work: Sequence[Frame]) -> None:
    for one in work:
        bed.kernel.send(octets(*one))
    with pytest.MonkeyPatch.context() as patch:
        if bed.apart:
            patch.setattr(GsoBatch, "fits", lambda *_: False)
        bed.read_all()


def as_one_by_one(sas: Sequence[Kind], work: Sequence[Frame]) -> None:
    with ManySas(sas) as together, ManySas(sas, apart=True) as apart:
        for bed in (together, apart):
            send_frames(bed, work)
        assert_sent_alike(together, apart)


@given(many_sas(), frames)
@settings(deadline=None)
def test_as_one_by_one(sas: list[Kind], work: list[Frame]) -> None:
    as_one_by_one(sas, work)


@pytest.mark.parametrize("kind", UNUSUAL, ids=str)
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("lacks", [0, 7])
def test_one_is_unlike_the_others(kind: Kind, at: int, lacks: int) -> None:
    sas = [Kind()] * COUNT
    sas[at] = kind
    as_one_by_one(sas, [(number % 4, 10, lacks, 0) for number in range(8)])


@contextmanager
def sends(kinds: Sequence[Kind]) -> Iterator[tuple[ManySas, list[FailingSocket]]]:
    """A bed, and the socket that counts what it is asked to send."""
    wrap, kept = failing([])
    with ManySas(kinds, wrap=wrap) as bed:
        yield bed, kept


@pytest.mark.parametrize("esn", [False, True])
def test_they_do_go_together(esn: bool) -> None:
    """One send, and of each SA the numbers that it has."""
    with sends([Kind(suite, esn) for suite in (GCM, CHACHA) * 4]) as (bed, kept):
        send_frames(bed, [(0, 10, 0, 0), (1, 12, 0, 0), (0, 8, 3, 0)])
        assert kept[0].sends == 1
        heads = [(int.from_bytes(one[:4], "big"), int.from_bytes(one[4:8], "big")) for one in bed.sent()]
        assert heads == [
            *((FIRST, number) for number in range(1, 11)),
            *((FIRST + 1, number) for number in range(1, 13)),
            *((FIRST, number) for number in range(11, 19)),
        ]
        bytes_out = [(one.out_packets, one.out_seq) for one in bed.all_counters()[:2]]
        assert bytes_out == [(18, 18), (12, 12)]


@pytest.mark.parametrize(
    "work",
    [
        [(0, 10, 3, 0), (1, 10, 0, 0)],  # nothing follows a shorter packet in one send
        [(0, 10, 0, 0), (1, 10, 0, 2)],  # nor does another TOS
        [(0, 10, 0, 0), (0, 10, 0, 2)],  # under the same SA either
        [(0, 10, 0, 0), (2, 10, 0, 0)],  # or have another path
    ],
)
def test_sent_apart_and_sealed_together_if_they_have_one_tos_octet(work: list[Frame]) -> None:
    with sends([Kind(), Kind(), Kind(other_port=True), *PLAIN_SAS[3:]]) as (bed, kept):
        calls = []
        real = batch.seal_runs

        def seal_runs(*arguments: object) -> object:
            calls.append(real(*arguments))  # type: ignore[arg-type]
            return calls[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batch, "seal_runs", seal_runs)
            send_frames(bed, work)
        assert sum(sum(counts) for counts, _ in calls) == 20
        assert len(calls) == len({tos for _, _, _, tos in work})
        assert kept[0].sends == 2


def test_a_cipher_breaks_half_way() -> None:
    """What was taken is not used again, by any of the SAs."""
    with ManySas(PLAIN_SAS) as bed:
        sas = [bed.outbound_of(number).sa for number in range(3)]
        member = sas[1].aead
        assert member is not None

        def broken(*_: Buffer) -> None:
            raise KeyError("broken")

        sas[1].aead = member._replace(call=broken)
        with pytest.raises(KeyError):
            send_frames(bed, [(0, 10, 0, 0), (1, 11, 0, 0), (2, 12, 0, 0)])
        assert bed.sent() == []
        assert [sa.sequence for sa in sas] == [10, 11, 12]
        assert [one.out_seq for one in bed.all_counters()[:3]] == [10, 11, 12]
        sas[1].aead = member
        send_frames(bed, [(number, 2, 0, 0) for number in range(3)])
        numbers = [int.from_bytes(one[4:8], "big") for one in bed.sent()]
        assert numbers == [11, 12, 12, 13, 13, 14]


@pytest.mark.parametrize("esn", [False, True])
def test_numbers_run_out(esn: bool) -> None:
    """Of one of three: the others go on."""
    with ManySas([Kind(esn=esn)] * COUNT) as bed:
        bed.outbound_of(1).sa.sequence = LIMIT[esn] - 4
        send_frames(bed, [(number, 10, 0, 0) for number in range(3)])
        assert [one.out_packets for one in bed.all_counters()[:3]] == [10, 4, 10]
        assert bed.counters.sa(1).drops == {Drop.EXHAUSTED.text: 6}
        assert len(bed.sent()) == 24


def test_what_is_not_sent_is_counted_under_its_sa() -> None:
    with ManySas(PLAIN_SAS, wrap=lambda sock: cast(socket.socket, Refusing(sock))) as bed:
        send_frames(bed, [(0, 10, 0, 0), (1, 4, 7, 0)])
        found = [(one.out_packets, one.out_bytes, one.drops) for one in bed.all_counters()[:2]]
        assert found == [(0, 0, {Drop.REFUSED.text: 10}), (0, 0, {Drop.REFUSED.text: 4})]


@given(frames, st.lists(errors, max_size=40), st.integers(0, 60))
@settings(deadline=None)
def test_no_number_is_used_twice_whatever_fails(work: list[Frame], plan: list[int], left: int) -> None:
    """Sends fail, and the numbers of one SA run out."""
    wrap, kept = failing(plan)
    with ManySas(PLAIN_SAS, wrap=wrap) as bed:
        bed.outbound_of(1).sa.sequence = LIMIT[True] - left
        send_frames(bed, work)
        bed.send_all([packet(number, 100) for number in range(COUNT)])
        seen: dict[bytes, bytes] = {}
        for datagram in kept[0].tried:  # by SPI, sequence number and IV: the same one may be tried again
            assert seen.setdefault(datagram[:16], datagram) == datagram
        assert len(bed.sent()) == sum(one.out_packets for one in bed.all_counters())
