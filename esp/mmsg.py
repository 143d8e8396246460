"""Many datagrams in one system call: sendmmsg(2) and recvmmsg(2), which `socket` does not have."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from esp.cmsg import AncillaryData

MOST = 128  # messages of one call
_CONTROL = 128  # octets of ancillary data of one message
_NAME = 28  # sockaddr_in6
_ALIGN = struct.calcsize("N")
_HEAD = struct.Struct("@Nii")  # cmsghdr: length, level, type


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """msghdr, pointers as numbers."""

    _fields_ = (
        ("name", ctypes.c_size_t),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_size_t),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_size_t),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint32))


_MESSAGE, _IOVEC = np.dtype(_Message), np.dtype(_Iovec)
_libc = ctypes.CDLL(None, use_errno=True)


class _Table:
    """Message headers with one buffer each, all pointing where they belong; columns are numpy's."""

    def __init__(self) -> None:
        self._memory = bytearray(MOST * _MESSAGE.itemsize), bytearray(MOST * _IOVEC.itemsize)
        self.names = bytearray(MOST * _NAME)
        self.controls = bytearray(MOST * _CONTROL)
        steps = np.arange(MOST, dtype=np.uint64)
        messages = np.frombuffer(self._memory[0], _MESSAGE)
        self.rows, self.lengths = messages["header"], messages["length"]
        self.iovecs = np.frombuffer(self._memory[1], _IOVEC)
        self.address = address_of(self._memory[0])
        self.rows["iov"] = steps * np.uint64(_IOVEC.itemsize) + np.uint64(address_of(self._memory[1]))
        self.rows["iov_count"] = 1
        self.rows["control"] = steps * np.uint64(_CONTROL) + np.uint64(address_of(self.controls))
        self.rows["name"] = steps * np.uint64(_NAME) + np.uint64(address_of(self.names))


def address_of(buffer: bytearray | memoryview) -> int:
    """Where a writable buffer is in memory, as long as it lives."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class Piece(NamedTuple):
    """What one message carries: octets at an address; `segment` cuts them into datagrams, 0 does not."""

    address: int
    length: int
    segment: int


class Sender:
    """Sends many messages to one remote at once."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table = _Table()

    def send(
        self, sock: socket.socket, pieces: Sequence[Piece], remote: tuple[str, int], ancillary: AncillaryData
    ) -> list[int]:
        """Send each piece; for each an errno, 0 if it was taken. At most `MOST`."""
        table, count = self._table, len(pieces)
        columns = np.array(pieces, np.uint64)
        table.iovecs["base"][:count] = columns[:, 0]
        table.iovecs["length"][:count] = columns[:, 1]
        name = _sockaddr(sock.family, remote)
        table.names[: len(name)] = name
        table.rows["name"][:count] = table.rows["name"][0]
        table.rows["name_length"][:count] = len(name)
        self._write_controls(count, ancillary, columns[:, 2])
        results = [0] * count
        at = 0
        while at < count:
            place = ctypes.c_void_p(table.address + at * _MESSAGE.itemsize)
            sent = _libc.sendmmsg(sock.fileno(), place, count - at, 0)
            if sent < 0:
                results[at] = ctypes.get_errno()
                at += 1
            else:
                at += sent
        return results

    def _write_controls(self, count: int, ancillary: AncillaryData, segments: NDArray[np.uint64]) -> None:
        """The same for all, and behind it the segment's size where there is one."""
        common = b"".join(_cmsg(*one) for one in ancillary)
        with_segment = common + _cmsg(17, 103, bytes(2))
        place = len(common) + _HEAD.size
        controls = np.frombuffer(self._table.controls, np.uint8).reshape(MOST, _CONTROL)
        controls[:count, : len(with_segment)] = np.frombuffer(with_segment, np.uint8)
        controls[:count, place : place + 2].view(np.uint16)[:, 0] = segments
        lengths = np.where(segments > 0, len(with_segment), len(common))
        self._table.rows["control_length"][:count] = lengths


class Arrival(NamedTuple):
    """One message received: where in the arena's row it ends, and what came with it."""

    length: int
    name: bytes
    control: bytes


class Receiver:
    """Receives many messages at once, each into a row of an arena."""

    __slots__ = ("_table",)

    def __init__(self, arena: memoryview, pitch: int, size: int) -> None:
        """Rows of `size` octets begin every `pitch` octets."""
        self._table = _Table()
        self._table.iovecs["base"] = np.arange(MOST, dtype=np.uint64) * np.uint64(pitch) + np.uint64(
            address_of(arena)
        )
        self._table.iovecs["length"] = size

    def receive(self, sock: socket.socket, most: int) -> list[Arrival]:
        """What is there, at most so many. Raises OSError, BlockingIOError if there is nothing."""
        table = self._table
        table.rows["name_length"][:most] = _NAME
        table.rows["control_length"][:most] = _CONTROL
        place = ctypes.c_void_p(table.address)
        count = _libc.recvmmsg(sock.fileno(), place, most, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            raise (BlockingIOError if number in (errno.EAGAIN, errno.EINTR) else OSError)(number, "recvmmsg")
        lengths = table.lengths[:count].tolist()
        names = table.rows["name_length"][:count].tolist()
        controls = table.rows["control_length"][:count].tolist()
        return [
            Arrival(
                length,
                bytes(table.names[at * _NAME : at * _NAME + names[at]]),
                bytes(table.controls[at * _CONTROL : at * _CONTROL + controls[at]]),
            )
            for at, length in enumerate(lengths)
        ]


def _cmsg(level: int, kind: int, data: bytes) -> bytes:
    packed = _HEAD.pack(_HEAD.size + len(data), level, kind) + data
    return packed.ljust(-(-len(packed) // _ALIGN) * _ALIGN, b"\0")


def parse_control(control: bytes) -> AncillaryData:
    """The ancillary data of an arrival."""
    found = []
    at = 0
    while at + _HEAD.size <= len(control):
        length, level, kind = _HEAD.unpack_from(control, at)
        if length < _HEAD.size:
            break
        found.append((level, kind, control[at + _HEAD.size : at + length]))
        at += -(-length // _ALIGN) * _ALIGN
    return found


def parse_name(name: bytes) -> tuple[str, int]:
    """Address and port of a sockaddr."""
    port = int.from_bytes(name[2:4], "big")
    if len(name) >= _NAME:
        return socket.inet_ntop(socket.AF_INET6, name[8:24]), port
    return socket.inet_ntop(socket.AF_INET, name[4:8]), port


def _sockaddr(family: int, remote: tuple[str, int]) -> bytes:
    host, port = remote
    packed = socket.inet_pton(family, host)
    head = struct.pack("=H", family) + port.to_bytes(2, "big")
    if family == socket.AF_INET:
        return head + packed + bytes(8)
    return head + bytes(4) + packed + bytes(4)
