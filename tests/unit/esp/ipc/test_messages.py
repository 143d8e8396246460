"""esp.ipc.messages and esp.ipc.channel: every message there and back, and what is none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from esp.ipc import channel
from esp.ipc.messages import (
    Acquire,
    ActivateOutboundSa,
    AddDevice,
    AddSocket,
    Fault,
    ForwardEsp,
    ForwardIke,
    Message,
    MessageError,
    NoSa,
    NotPermitted,
    PeerMoved,
    Ping,
    Pong,
    Ready,
    RemoveDevice,
    RemoveOutboundSa,
    RemoveSaPair,
    RemoveSocket,
    SequenceExhausted,
    SequenceLow,
    SetTfcPadding,
    UnknownSpi,
    UpdateSaPath,
    decode,
    encode,
)
from esp.net.sockets import SocketKind
from esp.packet.selectors import Selector
from esp.sa.suites import SUITES
from tests.unit.esp.bed import inbound, outbound

V4, V6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
SELECTORS = (Selector.of("10.0.0.0/8", 6, 80, 443), Selector.of("::/0"), Selector(4, 5, 9, 17, 65535, 0))

MESSAGES: list[Message] = [
    AddSocket(3, 6, SocketKind.RAW, V6, 0),
    RemoveSocket(3),
    AddDevice(1, "vtiü", True, 1360, 0),
    RemoveDevice(1),
    *(inbound(1, 0xFFFFFFFF, suite=suite, ts_local=SELECTORS) for suite in SUITES),
    *(outbound((1 << 64) - 1, 2, suite=suite, esn=True, ts_remote=SELECTORS) for suite in SUITES),
    inbound(1, 2, ts_local=(), ts_remote=tuple(Selector.of(f"10.0.{n}.0/24") for n in range(255))),
    ActivateOutboundSa(0),
    RemoveOutboundSa(1),
    RemoveSaPair(1),
    UpdateSaPath(1, False, V6, 0, V6, 0),
    SetTfcPadding(1, 65535),
    ForwardEsp(True, 255, V4, 4500, V4, 1, bytes(65535)),
    Ready(),
    Ping(),
    Pong(),
    ForwardIke(V4, 4500, V4, 65535, b""),
    UnknownSpi(0x100, V4, 0, V4, 0),
    SequenceLow(1),
    SequenceExhausted(1),
    PeerMoved(1, V6, 4500),
    NotPermitted(3, bytes(64)),
    NoSa(1, 3, (Selector.of("192.0.2.1/32", 6, 80, 80), Selector.of("192.0.2.2/32", 6, 1, 1))),
    Acquire(1, (Selector.of("192.0.2.1/32", 6, 80, 80), Selector.of("192.0.2.2/32", 6, 1, 1))),
    Fault(0, "text"),
]
WITH_FD = (AddSocket, AddDevice)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_there_and_back(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_truncated_or_longer(message: Message) -> None:
    data = encode(message)
    for length in {0, 1, 2, len(data) // 2, len(data) - 1} & set(range(len(data))):
        with pytest.raises(MessageError):
            decode(data[:length])
    with pytest.raises(MessageError):
        decode(data + b"\0")


def test_unknown_kind() -> None:
    with pytest.raises(MessageError, match="unknown kind"):
        decode(b"\xff")


def test_a_value_that_does_not_fit() -> None:
    with pytest.raises(MessageError, match="RemoveSaPair"):
        encode(RemoveSaPair(1 << 64))
    with pytest.raises(MessageError, match="SequenceLow"):
        encode(SequenceLow(-1))


def test_an_unknown_suite() -> None:
    data = encode(inbound(1, 2))
    numbers = bytes((0, 20, 0, 128, 0xFF, 0xFF))
    with pytest.raises(MessageError, match="no suite"):
        decode(data.replace(numbers, bytes((0, 20, 0, 129, 0xFF, 0xFF))))


def test_keys_are_not_shown() -> None:
    for message in (inbound(1, 2), outbound(1, 2)):
        shown = replace(message, keys=b"SECRETSECRET")
        assert "SECRET" not in repr(shown)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = channel.pair()
    with one, other:
        other.setblocking(False)
        yield one, other


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_over_the_socket(ends: tuple[socket.socket, socket.socket], message: Message) -> None:
    one, other = ends
    with socket.socket() as travels:
        channel.send(one, message, travels.fileno() if isinstance(message, WITH_FD) else None)
        received = channel.receive(other)
        assert received is not None
        assert received[0] == message
        if received[1] is not None:
            assert os.fstat(received[1]).st_ino == os.fstat(travels.fileno()).st_ino
            assert not os.get_inheritable(received[1])
            os.close(received[1])
        assert (received[1] is not None) == isinstance(message, WITH_FD)


def test_a_descriptor_that_is_missing_or_not_wanted(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    with pytest.raises(MessageError, match="file descriptor"):
        channel.send(one, Ready(), 0)
    with pytest.raises(MessageError, match="file descriptor"):
        channel.send(one, AddDevice(1, "vti0", False, 0, 0))
    one.send(encode(AddDevice(1, "vti0", False, 0, 0)))
    with pytest.raises(MessageError, match="file descriptor"):
        channel.receive(other)


@pytest.mark.parametrize("count", [1, 3])
def test_unwanted_descriptors_are_closed(ends: tuple[socket.socket, socket.socket], count: int) -> None:
    one, other = ends
    before = len(list(Path("/proc/self/fd").iterdir()))
    socket.send_fds(one, [encode(Ready())], [one.fileno()] * count)
    with pytest.raises(MessageError):
        channel.receive(other)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_nothing_there_and_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    with pytest.raises(BlockingIOError):
        channel.receive(other)
    one.send(encode(Ready()))
    one.close()
    assert channel.receive(other) == (Ready(), None)
    assert channel.receive(other) is None
    with pytest.raises(OSError):
        channel.send(other, Ready())
