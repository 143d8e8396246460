"""Creates a TUN device (Documentation/networking/tuntap.rst), and reads and writes packets on it in
batches."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tun import closing, links
from tun.mss import clamp
from tun.virtio import IFF_VNET_HDR, enable_offloads

CLONE_DEVICE = Path("/dev/net/tun")
MAX_NAME = 15  # IFNAMSIZ less the final zero
MAX_PACKET = 65535

# linux/if_tun.h
TUNSETIFF = 0x400454CA
TUNSETCARRIER = 0x400454E2
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000  # no four bytes of packet information before each packet
IFF_TUN_EXCL = 0x8000  # fail if the name exists, never attach to somebody else's device

# Errors of a write that refuse one packet: the rest of the batch goes on.
PACKET_REFUSED = frozenset({errno.EINVAL, errno.EIO, errno.ENOBUFS, errno.ENOMEM, errno.EMSGSIZE})

Rename = Callable[[int, str], None]  # a device's index, its new name; raises OSError
Packet = TypeVar("Packet", bound=bytes | bytearray | memoryview)


class TunError(OSError):
    """A TUN device could not be made or used; the text names the device and the reason."""


class TunDevice:
    """One TUN device, alive as long as a copy of its descriptor is open.

    Its addresses and routes go with it. It is made down and with carrier; the descriptor is non-blocking
    and is not inherited by other programs.
    """

    __slots__ = ("_fd", "_index", "_name", "_rename")

    def __init__(self, fd: int, name: str, index: int, rename: Rename | None = None) -> None:
        """`rename`: how to rename the device with this index; None: as this process's rights permit."""
        self._rename = _rename if rename is None else rename
        self._fd = fd
        self._name = name
        self._index = index

    @classmethod
    def create(cls, name: str, offload: bool = True) -> TunDevice:
        """A new device in the caller's network namespace; `TunError` with the reason if that can't be.

        `offload`: each frame has a virtio header in front (`tun.virtio`) and may be a big one.
        """
        _check_name(name)
        try:
            fd = os.open(CLONE_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _open_error(name, error) from error
        try:
            flags = IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL | (IFF_VNET_HDR if offload else 0)
            request = struct.pack("16sH22x", name.encode(), flags)
            fcntl.ioctl(fd, TUNSETIFF, request)
            if offload:
                enable_offloads(fd)
            return cls(fd, name, socket.if_nametoindex(name))
        except OSError as error:
            os.close(fd)
            raise _create_error(name, error) from error

    @property
    def fd(self) -> int:
        return self._fd

    @property
    def name(self) -> str:
        return self._name

    @property
    def index(self) -> int:
        """The interface's index, for netlink."""
        return self._index

    def fileno(self) -> int:
        return self._fd

    def rename(self, name: str) -> None:
        """Give the device another name; what is open stays so. Raises `TunError`."""
        _check_name(name)
        try:
            self._rename(self._index, name)
        except OSError as error:
            reason = _RENAME_ERRORS.get(error.errno or 0, error.strerror)
            raise TunError(error.errno, f"cannot rename {self._name} to {name}: {reason}") from error
        self._name = name

    def set_carrier(self, up: bool) -> None:
        """Set the carrier: the device stays up with its addresses and routes.

        Without carrier the kernel marks the routes `linkdown` and drops what is sent; whether they still
        win a look-up is the administrator's sysctl ignore_routes_with_linkdown. Raises `TunError`.
        """
        try:
            fcntl.ioctl(self._fd, TUNSETCARRIER, struct.pack("i", up))
        except OSError as error:
            raise TunError(error.errno, f"{self._name}: cannot set the carrier: {error.strerror}") from error

    def close(self) -> None:
        """Remove the device, unless another process holds a copy of the descriptor. Twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close_later(self) -> None:
        """As `close`, without waiting until the kernel has removed it."""
        if self._fd >= 0:
            closing.close_later(self._fd)
            self._fd = -1

    def __enter__(self) -> TunDevice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TunDevice({self._name!r}, fd={self._fd}, index={self._index})"


class PacketIo:
    """Reads and writes IP packets in batches on a TUN descriptor, which stays its caller's to close.

    `mss4` and `mss6` (bytes; 0: leave alone) bound the MSS option of TCP handshakes in both directions.
    """

    __slots__ = ("_clamping", "_fd", "_mss4", "_mss6")

    def __init__(self, fd: int, mss4: int = 0, mss6: int = 0) -> None:
        self._fd = fd
        self._mss4 = mss4
        self._mss6 = mss6
        self._clamping = bool(mss4 or mss6)

    def fileno(self) -> int:
        return self._fd

    def set_mss(self, mss4: int, mss6: int) -> None:
        """Change the bounds."""
        self._mss4, self._mss6 = mss4, mss6
        self._clamping = bool(mss4 or mss6)

    def read_batch(self, limit: int) -> list[bytes]:
        """Up to `limit` packets, as many as wait now. `TunError` if the device is gone."""
        packets: list[bytes] = []
        read, fd = os.read, self._fd
        try:
            while len(packets) < limit:
                packets.append(read(fd, MAX_PACKET))
        except BlockingIOError:
            pass
        except OSError as error:
            raise TunError(error.errno, f"cannot read from the TUN device: {error.strerror}") from error
        return self._clamped(packets) if self._clamping else packets

    def write_batch(self, packets: Sequence[bytes | bytearray | memoryview]) -> int:
        """Write `packets`; how many the kernel accepted. `TunError` if the device is gone.

        One that the kernel refuses (not IP, no memory, device down) is left out, the rest goes on.
        """
        taken = 0
        write, fd = os.write, self._fd
        for packet in self._clamped(packets) if self._clamping else packets:
            try:
                write(fd, packet)
                taken += 1
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in PACKET_REFUSED:
                    raise TunError(
                        error.errno, f"cannot write to the TUN device: {error.strerror}"
                    ) from error
        return taken

    def _clamped(self, packets: Sequence[Packet]) -> list[Packet | bytes]:
        mss4, mss6 = self._mss4, self._mss6
        return [clamp(packet, mss4, mss6) or packet for packet in packets]


def _rename(index: int, name: str) -> None:
    links.rename(socket.if_indextoname(index), name)


def _check_name(name: str) -> None:
    """Refuse names that the kernel refuses without a reason, and `%`, which it takes for a pattern."""
    bad = not name.isascii() or any(one in "/:%" or one.isspace() or not one.isprintable() for one in name)
    if bad or not 0 < len(name) <= MAX_NAME or name in (".", ".."):
        raise TunError(
            errno.EINVAL,
            f"{name!r} is no name for a device: up to {MAX_NAME} ASCII characters, no space, '/', ':' or '%'",
        )


_RENAME_ERRORS = {errno.EEXIST: "a device of that name exists already"}


def _open_error(name: str, error: OSError) -> TunError:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        reason = f"there is no {CLONE_DEVICE}: is the kernel's tun module loaded?"
    elif error.errno in (errno.EPERM, errno.EACCES):
        reason = f"no permission to open {CLONE_DEVICE}"
    else:
        reason = f"{CLONE_DEVICE}: {error.strerror}"
    return TunError(error.errno, f"cannot make {name}: {reason}")


def _create_error(name: str, error: OSError) -> TunError:
    if error.errno in (errno.EBUSY, errno.EEXIST, errno.EINVAL):
        reason = "a device of that name exists already"
    elif error.errno == errno.EPERM:
        reason = "no permission: this needs root or the capability CAP_NET_ADMIN"
    else:
        reason = error.strerror or str(error)
    return TunError(error.errno, f"cannot make {name}: {reason}")
