"""Classic BPF programs that steer datagrams to processes: on the SO_REUSEPORT group and on raw ESP sockets.

An SPI names its worker: SPI mod N is the worker's slot. In a reuseport group socket 0 is control's (IKE
behind the non-ESP marker, RFC 3948 2.2, and datagrams that are too short), and socket 1 + slot is the
worker's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
SO_ATTACH_REUSEPORT_CBPF = 51  # `socket` has no name for it

# linux/filter.h
_LD_W_ABS = 0x20
_LD_W_IND = 0x40
_LDX_B_MSH = 0xB1  # X = 4 * (octet & 0x0f): the length of an IPv4 header
_ALU_ADD_K = 0x04
_ALU_MOD_K = 0x94
_JMP_JEQ_K = 0x15
_JMP_JGT_K = 0x25
_JMP_JGE_K = 0x35
_INPUT_DEVICE = 0xFFFFF000 + 8  # SKF_AD_OFF + SKF_AD_IFINDEX: loads the index of the input device
_MAX_RANGES = 1000  # of indices; the kernel permits 4096 instructions
_RET_K = 0x06
_RET_A = 0x16
_WHOLE = 0xFFFFFFFF  # accept, nothing cut off

_INSTRUCTION = struct.Struct("HBBI")
Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k


def reuseport_program(workers: int) -> list[Instruction]:
    """Returns the index of a datagram's socket. It sees the UDP payload; a load past its end returns 0."""
    return [
        (_LD_W_ABS, 0, 0, 0),
        (_JMP_JEQ_K, 0, 1, 0),
        (_RET_K, 0, 0, 0),
        (_ALU_MOD_K, 0, 0, workers),
        (_ALU_ADD_K, 0, 0, 1),
        (_RET_A, 0, 0, 0),
    ]


def raw_program(version: int, slot: int, workers: int) -> list[Instruction]:
    """Accepts packets of protocol 50 for `slot`. An IPv4 raw socket sees the IP header, too."""
    load: list[Instruction] = (
        [(_LDX_B_MSH, 0, 0, 0), (_LD_W_IND, 0, 0, 0)] if version == 4 else [(_LD_W_ABS, 0, 0, 0)]
    )
    return [
        *load,
        (_ALU_MOD_K, 0, 0, workers),
        (_JMP_JEQ_K, 0, 1, slot),
        (_RET_K, 0, 0, _WHOLE),
        (_RET_K, 0, 0, 0),
    ]


def outside_program(devices: Collection[int]) -> list[Instruction]:
    """Accepts packets that came in by other devices than these (indices)."""
    program: list[Instruction] = [(_LD_W_ABS, 0, 0, _INPUT_DEVICE)]
    for first, last in list(_ranges(devices))[:_MAX_RANGES]:
        program += [(_JMP_JGE_K, 0, 2, first), (_JMP_JGT_K, 1, 0, last), (_RET_K, 0, 0, 0)]
    return [*program, (_RET_K, 0, 0, _WHOLE)]


def _ranges(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    """First and last number of each consecutive run: devices made one after the other are one range."""
    for _, run in groupby(enumerate(sorted(set(numbers))), key=lambda pair: pair[1] - pair[0]):
        row = [number for _, number in run]
        yield row[0], row[-1]


def attach_outside(sock: socket.socket, devices: Collection[int]) -> None:
    """Filter out packets that came in by one of these devices (indices). Raises OSError.

    A socket's filters may take net.core.optmem_max octets, the old one too while it is replaced: where that
    is too little for both, the socket is without one for a moment.
    """
    program = outside_program(devices)
    try:
        _attach(sock, SO_ATTACH_FILTER, program)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        with contextlib.suppress(OSError):  # there was none
            sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        _attach(sock, SO_ATTACH_FILTER, program)


def attach_reuseport(sock: socket.socket, workers: int) -> None:
    """Steer the group that `sock` belongs to; the sockets' indexes are the order of their binding.

    Raises OSError, and ValueError for less than one worker.
    """
    if workers < 1:
        raise ValueError(f"{workers} workers")
    _attach(sock, SO_ATTACH_REUSEPORT_CBPF, reuseport_program(workers))


def attach_raw_filter(sock: socket.socket, version: int, slot: int, workers: int) -> None:
    """Let only ESP packets for `slot` into a raw socket. Raises OSError, and ValueError if there is no such
    slot."""
    if not 0 <= slot < workers:
        raise ValueError(f"slot {slot} of {workers}")
    _attach(sock, SO_ATTACH_FILTER, raw_program(version, slot, workers))


def attach_refusal(sock: socket.socket) -> None:
    """Let no packet into a socket. Raises OSError."""
    _attach(sock, SO_ATTACH_FILTER, [(_RET_K, 0, 0, 0)])


def _attach(sock: socket.socket, option: int, program: Sequence[Instruction]) -> None:
    code = b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("HP", len(program), ctypes.addressof(instructions))
    sock.setsockopt(socket.SOL_SOCKET, option, fprog)
