"""Many datagrams a system call: sendmmsg(2) and recvmmsg(2), which the module `socket` lacks."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from esp.net.cmsg import AncillaryData
from esp.packet.row_layouts import Octets, SequenceNumbers, all_equal

MAX_MESSAGES = 128  # of one call
_CONTROL = 128  # octets of ancillary data of one message
_NAME = 28  # sockaddr_in6
_ALIGN = struct.calcsize("N")
_HEAD = struct.Struct("@Nii")  # cmsghdr: length, level, type


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """msghdr, with pointers as numbers."""

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
_STEPS = np.arange(MAX_MESSAGES, dtype=np.uint64)
_libc = ctypes.CDLL(None, use_errno=True)


class _MessageTable:
    """An array of mmsghdr with one iovec each; its columns are numpy arrays."""

    def __init__(self) -> None:
        self._memory = bytearray(MAX_MESSAGES * _MESSAGE.itemsize), bytearray(MAX_MESSAGES * _IOVEC.itemsize)
        names, controls = bytearray(MAX_MESSAGES * _NAME), bytearray(MAX_MESSAGES * _CONTROL)
        self.names: Octets = np.frombuffer(names, np.uint8).reshape(MAX_MESSAGES, _NAME)
        self.controls: Octets = np.frombuffer(controls, np.uint8).reshape(MAX_MESSAGES, _CONTROL)
        messages, iovecs = np.frombuffer(self._memory[0], _MESSAGE), np.frombuffer(self._memory[1], _IOVEC)
        rows, self.lengths = messages["header"], messages["length"]
        self.name_lengths, self.control_lengths = rows["name_length"], rows["control_length"]
        self.buffers, self.buffer_lengths = iovecs["base"], iovecs["length"]
        self.address = address_of(self._memory[0])
        rows["iov"] = _STEPS * np.uint64(_IOVEC.itemsize) + np.uint64(address_of(self._memory[1]))
        rows["iov_count"] = 1
        rows["control"] = _STEPS * np.uint64(_CONTROL) + np.uint64(address_of(controls))
        rows["name"] = _STEPS * np.uint64(_NAME) + np.uint64(address_of(names))


def address_of(buffer: bytearray | memoryview) -> int:
    """The memory address of a writable buffer, valid as long as the buffer lives."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class IoVectors(NamedTuple):
    """The payloads of at most `MAX_MESSAGES` messages: memory address and length of each."""

    addresses: Sequence[int] | SequenceNumbers
    lengths: Sequence[int] | SequenceNumbers

    @classmethod
    def of(cls, rows: Sequence[memoryview]) -> IoVectors:
        return cls([address_of(row) for row in rows], [len(row) for row in rows])

    @classmethod
    def cut(cls, whole: memoryview, size: int) -> IoVectors:
        """A buffer cut into payloads of `size` octets, the last one perhaps shorter."""
        count = -(-len(whole) // size)
        lengths = np.full(count, size, np.uint64)
        lengths[-1] = len(whole) - (count - 1) * size
        return cls(_STEPS[:count] * np.uint64(size) + np.uint64(address_of(whole)), lengths)


class Sender:
    """Sends many messages to one remote at once."""

    __slots__ = ("_common", "_table")

    def __init__(self) -> None:
        self._table = _MessageTable()
        self._common: tuple[object, ...] = ()  # of all messages: family, remote, ancillary data

    def send(
        self, sock: socket.socket, vectors: IoVectors, remote: tuple[str, int], ancillary: AncillaryData
    ) -> list[int]:
        """Send each payload as a datagram; returns an errno for each, 0 if it was sent."""
        table, count = self._table, len(vectors.lengths)
        common = sock.family, remote, tuple(ancillary)
        if common != self._common:
            self._write_common(sock.family, remote, ancillary)
            self._common = common
        table.buffers[:count] = vectors.addresses
        table.buffer_lengths[:count] = vectors.lengths
        results = [0] * count
        at = 0
        while at < count:
            address = ctypes.c_void_p(table.address + at * _MESSAGE.itemsize)
            sent = _libc.sendmmsg(sock.fileno(), address, count - at, 0)
            if sent < 0:
                results[at] = ctypes.get_errno()
                at += 1
            else:
                at += sent
        return results

    def _write_common(self, family: int, remote: tuple[str, int], ancillary: AncillaryData) -> None:
        table, name = self._table, _sockaddr(family, remote)
        table.names[:, : len(name)] = np.frombuffer(name, np.uint8)
        table.name_lengths[:] = len(name)
        control = b"".join(_cmsg(*one) for one in ancillary)
        table.controls[:, : len(control)] = np.frombuffer(control, np.uint8)
        table.control_lengths[:] = len(control)


class ReceivedMessage(NamedTuple):
    """A received message: its length, source address (sockaddr) and ancillary data as octets."""

    length: int
    name: bytes
    control: bytes


class Receiver:
    """Receives many messages at once, a row of an arena each."""

    __slots__ = ("_table",)

    def __init__(self, arena: memoryview, pitch: int, size: int) -> None:
        """Rows of `size` octets begin every `pitch` octets."""
        self._table = _MessageTable()
        self._table.buffers[:] = _STEPS * np.uint64(pitch) + np.uint64(address_of(arena))
        self._table.buffer_lengths[:] = size

    def receive(self, sock: socket.socket, most: int) -> int:
        """Receive up to `most` messages; how many. Raises OSError, BlockingIOError if there is none."""
        table = self._table
        table.name_lengths[:most] = _NAME
        table.control_lengths[:most] = _CONTROL
        address = ctypes.c_void_p(table.address)
        count: int = _libc.recvmmsg(sock.fileno(), address, most, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            raise (BlockingIOError if number in (errno.EAGAIN, errno.EINTR) else OSError)(number, "recvmmsg")
        return count

    def message(self, row: int) -> ReceivedMessage:
        """The message in a row."""
        table = self._table
        name = table.names[row, : table.name_lengths.item(row)].tobytes()
        control = table.controls[row, : table.control_lengths.item(row)].tobytes()
        return ReceivedMessage(table.lengths.item(row), name, control)

    def uniform_last_length(self, count: int) -> int | None:
        """The length of the last of `count` messages if these are uniform: one source, one length, but the
        last one may be shorter, and the same ancillary data. None if they are not."""
        table = self._table
        lengths: list[int] = table.lengths[:count].tolist()
        columns = table.name_lengths, table.control_lengths, table.names, table.controls
        if lengths.count(lengths[0]) < count - (lengths[-1] < lengths[0]):
            return None
        return lengths[-1] if all(all_equal(column[:count]) for column in columns) else None


def _cmsg(level: int, kind: int, data: bytes) -> bytes:
    packed = _HEAD.pack(_HEAD.size + len(data), level, kind) + data
    return packed.ljust(-(-len(packed) // _ALIGN) * _ALIGN, b"\0")


def parse_control(control: bytes) -> AncillaryData:
    """The ancillary data of a received message."""
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
