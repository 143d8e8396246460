"""Egress and ingress of a worker with many SAs, each for one address, and packets for them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import strategies as st

from esp.datapath.sa_database import SaDatabase
from esp.datapath.sa_entries import OutboundEntry
from esp.ipc.counters import SaCounters
from esp.packet.selectors import Selector
from esp.sa import batch
from esp.sa.outbound import OutboundSa
from esp.sa.suites import CHACHA20_POLY1305, Suite, suite_for
from tests.property.datapath_bed import SPI, DatapathBed
from tests.property.packet_sequences import filled
from tests.property.test_egress_batches import SUITES
from tests.unit.esp.bed import DEVICE, GCM, inbound, outbound
from tests.unit.esp.packets import keys_for
from tests.unit.tun.plain import UDP, Flow, Packet, checksum
from tun.virtio import PLAIN

CHACHA = suite_for(CHACHA20_POLY1305, None, None)
COUNT = 8
FIRST = SPI + 1  # the SPI of the first SA
NOBODY = COUNT  # an address that no SA is for, or an SPI that nobody has


@dataclass(frozen=True)
class Kind:
    """One SA. `other_port`: its peer is where nobody listens."""

    suite: Suite = GCM
    esn: bool = False
    window: int = 64
    tfc: int = 0
    left: int | None = None  # sequence numbers until it is low
    other_port: bool = False
    standby: bool = False


def address(number: int) -> bytes:
    return bytes((10, 9, 0, number))


def packet(number: int, size: int, tos: int = 0, *, back: bool = False) -> bytes:
    """To the address of an SA, or back from it."""
    octets = bytearray(Packet(Flow(protocol=UDP, tos=tos), filled(size, b"data")).octets())
    octets[12:20] = address(number) + bytes((10, 2, 0, 1)) if back else bytes((10, 2, 0, 1)) + address(number)
    octets[10:12] = bytes(2)
    octets[10:12] = checksum(bytes(octets[:20])).to_bytes(2, "big")
    return bytes(octets)


class ManySas(DatapathBed):
    """Some SAs more, each for one address. `apart`: everything is done one by one."""

    def __init__(self, kinds: Sequence[Kind], apart: bool = False, **how: object) -> None:
        super().__init__(GCM, slots=COUNT + 2, selectors=(), **how)  # type: ignore[arg-type]
        self.database.remove_pair(1)
        self.apart = apart
        self.kinds = kinds
        for number, kind in enumerate(kinds):
            self._install(number, kind)

    def _install(self, number: int, kind: Kind) -> None:
        selector = Selector.of(f"10.9.0.{number}/32"), Selector.of("10.2.0.0/16")
        port = 9 if kind.other_port else self.peer_port
        common = {
            "slot": number,
            "suite": kind.suite,
            "esn": kind.esn,
            "local_port": self.port,
            "remote_port": port,
            "ts_local": selector[1:],
            "ts_remote": selector[:1],
        }
        child, spi = 100 + number, FIRST + number
        self.database.install_inbound(inbound(child, spi, replay_window=kind.window, **common))
        self.database.install_outbound(outbound(child, spi, standby=kind.standby, **common))
        if not kind.standby:
            sa = self.outbound_of(number).sa
            sa.set_tfc(kind.tfc)
            if kind.left is not None:
                sa.sequence = sa.low_from - kind.left

    def outbound_of(self, number: int) -> OutboundEntry:
        found = self.database.outbound(DEVICE, packet(number, 0))
        assert found is not None
        return found

    @contextmanager
    def batching(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            if self.apart:
                patch.setattr(SaDatabase, "runs", lambda *_: None)
                patch.setattr(batch, "open_rows", lambda *_: None)
            yield

    def send_all(self, packets: Sequence[bytes]) -> None:
        with self.batching():
            for one in packets:
                self.kernel.send(PLAIN + one)
            self.read_all()

    def take_in(self, rows: Sequence[bytes]) -> None:
        with self.batching():
            self.arrive(rows)

    def senders(self) -> list[OutboundSa]:
        """The peers' SAs."""
        return [
            OutboundSa(FIRST + number, kind.suite, keys_for(kind.suite, FIRST + number), kind.esn)
            for number, kind in enumerate(self.kinds)
        ]

    def all_counters(self) -> list[SaCounters]:
        found = [self.counters.sa(slot) for slot in range(COUNT + 2)]
        return [replace(one, in_last=0, out_last=0) for one in found]


kinds = st.builds(
    Kind,
    suite=st.sampled_from([GCM, CHACHA, *SUITES]),
    esn=st.booleans(),
    window=st.sampled_from([0, 64, 4096]),
    tfc=st.sampled_from([0, 0, 100]),
    left=st.sampled_from([None, None, 0, 1, 130]),
    other_port=st.booleans(),
)
usual = st.builds(
    Kind, suite=st.sampled_from([GCM, CHACHA]), esn=st.booleans(), window=st.sampled_from([0, 64])
)
EACH = st.integers(0, COUNT - 1)


@st.composite
def many_sas(draw: st.DrawFn) -> list[Kind]:
    """All alike, but for a few."""
    crowd = [draw(usual)] * COUNT
    for number, kind in draw(st.dictionaries(EACH, kinds, max_size=2)).items():
        crowd[number] = kind
    return crowd


def assert_sent_alike(together: ManySas, apart: ManySas) -> None:
    """The same has left, and is counted and told the same, of different SAs in any order."""
    found, wanted = together.sent(), apart.sent()
    random_iv = {FIRST + number for number, kind in enumerate(apart.kinds) if kind.suite.random_iv}
    for one, other in zip(found, wanted, strict=True):
        same = 8 if int.from_bytes(one[:4], "big") in random_iv else len(other)
        assert (one[:same], len(one)) == (other[:same], len(other))
    assert together.all_counters() == apart.all_counters()
    assert together.counters.drops() == apart.counters.drops()
    assert sorted(together.said, key=str) == sorted(apart.said, key=str)


UNUSUAL = [
    *(Kind(suite) for suite in SUITES),
    Kind(esn=True),
    Kind(tfc=200),
    Kind(left=0),
    Kind(other_port=True),
    Kind(window=0),
]


PLAIN_SAS = [Kind(esn=True)] * COUNT


class Refusing:
    """A socket whose sends the firewall refuses."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def sendmsg(self, *_: object) -> int:
        raise PermissionError(errno.EPERM, "refused")

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)
