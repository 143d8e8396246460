"""esp.datapath.ingress, esp.datapath.egress: what needs a moment that no running worker offers; see
test_worker_* too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from esp.datapath.context import Context
from esp.datapath.devices import Device
from esp.datapath.egress import Egress
from esp.datapath.ingress import Ingress
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import AddInboundSa, Message, SequenceExhausted, SequenceLow, UnknownSpi
from esp.net.sockets import SocketKind, open_udp
from esp.net.transport import Transport
from esp.sa.outbound import LIMIT, OutboundSa
from esp.sa.suites import AES_CBC, HMAC_SHA1_96, suite_for
from tests.unit.esp.bed import DEVICE, GCM, LOOPBACK, inbound, outbound
from tests.unit.esp.packets import ipv4, keys_for


@dataclass
class Sink:
    """A device that keeps what it gets, unless it is broken."""

    written: list[bytes] = field(default_factory=list)
    broken: bool = False

    def fileno(self) -> int:
        return -1

    def set_mss(self, mss4: int, mss6: int) -> None:
        pass

    def read_batch(self, limit: int) -> Sequence[bytes]:
        return []

    def write_batch(self, packets: Sequence[bytes | memoryview]) -> int:
        if self.broken:
            raise OSError("the device is gone")
        self.written += [bytes(packet) for packet in packets]
        return len(packets)


class Stage:
    """Egress and ingress of a worker whose control is this object."""

    def __init__(self, counters: CounterBlock, transport: Transport) -> None:
        context = Context(counters, self.post)
        self.database = context.database
        self.counters = counters
        self.transport = transport
        self.sink = Sink()
        self.said: list[Message] = []
        self.deaf = False
        self.late: list[AddInboundSa] = []  # what control has said and nobody has read yet
        self.egress = Egress(context)
        self.egress.set_transports([transport])
        self.device = Device(DEVICE, "vti1", False, self.sink, -1)
        context.devices[DEVICE] = self.device
        self.ingress = Ingress(context, (0, 1), self.catch_up, self.egress.release_waiting)

    @property
    def port(self) -> int:
        return self.transport.local_port

    def post(self, message: Message) -> bool:
        if not self.deaf:
            self.said.append(message)
        return not self.deaf

    def catch_up(self) -> None:
        for message in self.late:
            self.database.install_inbound(message)
        self.late.clear()

    def arrive(self, rows: Sequence[memoryview]) -> None:
        with open_udp(LOOPBACK, 0) as peer:
            for row in rows:
                peer.sendto(row, ("127.0.0.1", self.port))
        self.ingress.read_transport(self.transport)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with CounterBlock.create(2) as counters, open_udp(LOOPBACK, 0) as sock:
        port = sock.getsockname()[1]
        yield Stage(counters, Transport(sock, SocketKind.UDP, 4, LOOPBACK, port))


def sender(spi: int) -> OutboundSa:
    return OutboundSa(spi, GCM, keys_for(GCM, spi), False)


def test_a_packet_faster_than_the_message_that_installs_its_sa(stage: Stage) -> None:
    stage.late = [inbound(1, 0x1001)]
    stage.arrive(sender(0x1001).seal_batch([ipv4()]))
    assert stage.sink.written == [ipv4()]
    assert stage.counters.drops() == {}


def test_unknown_after_catching_up(stage: Stage) -> None:
    stage.arrive(sender(0x1001).seal_batch([ipv4()]))
    assert [type(message) for message in stage.said] == [UnknownSpi]


def test_a_device_that_breaks_while_written_to(stage: Stage) -> None:
    stage.database.install_inbound(inbound(1, 0x1001))
    stage.sink.broken = True
    stage.arrive(sender(0x1001).seal_batch([ipv4(), ipv4()]))
    assert stage.counters.sa(0).drops == {"device": 2}


def near_the_end(stage: Stage, used: int) -> None:
    """An outbound SA that has used `used` numbers."""
    stage.database.install_outbound(outbound(1, 0x1001, local_port=stage.port, remote_port=stage.port))
    entry = stage.database.outbound(DEVICE, ipv4())
    assert entry is not None
    entry.sa = OutboundSa(0x1001, GCM, keys_for(GCM, 0x1001), False, used)


def test_running_low_is_told_once(stage: Stage) -> None:
    near_the_end(stage, LIMIT[False] // 4 * 3 - 2)
    stage.egress.send(stage.device, [ipv4()])
    assert stage.said == []
    for _ in range(3):
        stage.egress.send(stage.device, [ipv4()])
    assert stage.said == [SequenceLow(1)]


def test_running_out_is_told_once_and_stops(stage: Stage) -> None:
    near_the_end(stage, LIMIT[False] - 2)
    for _ in range(3):
        stage.egress.send(stage.device, [ipv4(), ipv4()])
    assert stage.said == [SequenceLow(1), SequenceExhausted(1)]
    counters = stage.counters.sa(0)
    assert (counters.out_packets, counters.out_seq) == (2, LIMIT[False])
    assert counters.drops == {"exhausted": 4}


def test_what_control_did_not_hear_is_said_again(stage: Stage) -> None:
    near_the_end(stage, LIMIT[False] - 1)
    stage.deaf = True
    stage.egress.send(stage.device, [ipv4()])
    stage.deaf = False
    stage.egress.send(stage.device, [ipv4()])
    assert stage.said == [SequenceLow(1), SequenceExhausted(1)]


def test_after_an_error_the_number_taken_is_shown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"local_port": stage.port, "remote_port": stage.port}
    cbc = suite_for(AES_CBC, 128, HMAC_SHA1_96)
    stage.database.install_outbound(outbound(1, 0x1001, suite=cbc, **numbers))
    monkeypatch.setattr("os.urandom", no_randomness)
    with pytest.raises(OSError, match="no randomness"):
        stage.egress.send(stage.device, [ipv4()] * 3)
    assert stage.counters.sa(0).out_seq == 1
    assert stage.counters.sa(0).out_packets == 0


def no_randomness(length: int) -> bytes:
    raise OSError("no randomness")
