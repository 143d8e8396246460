"""Reads a device's flags, MTU, carrier, driver and addresses by ioctl (netdevice(7)): in microseconds."""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import struct
from ipaddress import IPv6Address
from pathlib import Path

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
SIOCGIFMTU = 0x8921
SIOCSIFNAME = 0x8923
SIOCGIFHWADDR = 0x8927
SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO = 0x00000003
ETHTOOL_GLINK = 0x0000000A
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000  # it has carrier
IFF_RUNNING = 0x40  # the kernel sends through it: up, and with carrier
LINKED = IFF_UP | IFF_RUNNING
_FLAGS = struct.Struct("16sh22x")  # struct ifreq: name, flags
_NAMES = struct.Struct("16s16s8x")  # struct ifreq: name, new name
_MTU = struct.Struct("16si20x")
_DRIVER = struct.Struct("I32s160x")  # the first fields of struct ethtool_drvinfo
_POINTER = struct.Struct("16sP16x")
_HARDWARE = struct.Struct("16sH14s8x")  # struct ifreq: name, family and octets of a sockaddr
ARPHRD_ETHER = 1
ETHERNET_ADDRESS = 6  # octets
IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x08, 0x40  # linux/if_addr.h
LINK_SCOPE = 0x20  # in /proc/net/if_inet6


def has_link(name: str) -> bool:
    """Whether the device is up and has carrier; False too if there is no such device.

    Raises OSError if the ioctl fails otherwise (no descriptors).
    """
    try:
        return link_flags(name) & LINKED == LINKED
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return False


def link_flags(name: str) -> int:
    """The IFF_* flags. Raises OSError."""
    return _ask(SIOCGIFFLAGS, _FLAGS, name)


def rename(name: str, new: str) -> None:
    """Give a device another name. Raises OSError.

    A device that is up is taken down for it where the kernel asks for that (before Linux 6.2): its routes and
    IPv6 addresses are gone then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = _NAMES.pack(name.encode(), new.encode())
        try:
            fcntl.ioctl(sock, SIOCSIFNAME, request)
            return
        except OSError as error:
            flags = link_flags(name)
            if error.errno != errno.EBUSY or not flags & IFF_UP:
                raise
        fcntl.ioctl(sock, SIOCSIFFLAGS, _FLAGS.pack(name.encode(), _signed(flags & ~IFF_UP)))
        try:
            fcntl.ioctl(sock, SIOCSIFNAME, request)
            name = new
        finally:
            fcntl.ioctl(sock, SIOCSIFFLAGS, _FLAGS.pack(name.encode(), _signed(flags)))


def _signed(flags: int) -> int:
    """The lower 16 bits, as the struct has them."""
    return (flags & 0xFFFF ^ 0x8000) - 0x8000


def link_mtu(name: str) -> int:
    """In octets. Raises OSError."""
    return _ask(SIOCGIFMTU, _MTU, name)


def link_carrier(name: str) -> bool:
    """Whether it is up and has carrier; IFF_RUNNING may follow a second later. Raises OSError."""
    value = array.array("I", [ETHTOOL_GLINK, 0])  # struct ethtool_value
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, _POINTER.pack(name.encode(), value.buffer_info()[0]))
    return bool(value[1])


def link_driver(name: str) -> str:
    """The driver: "tun", "veth", ... Raises OSError, also if the device does not report one."""
    information = array.array("B", _DRIVER.pack(ETHTOOL_GDRVINFO, b""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, _POINTER.pack(name.encode(), information.buffer_info()[0]))
    driver: bytes = _DRIVER.unpack(information)[1]
    return driver.rstrip(b"\0").decode("ascii", "replace")


def ethernet_address(name: str) -> bytes | None:
    """The 6 octets of an Ethernet device's address; None for a device of another kind. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFHWADDR, _HARDWARE.pack(name.encode(), 0, b""))
    _, family, octets = _HARDWARE.unpack(answer)
    return bytes(octets[:ETHERNET_ADDRESS]) if family == ARPHRD_ETHER else None


def link_local_address(name: str) -> IPv6Address | None:
    """The lowest usable link-local address of a device (no tentative one, RFC 4862 5.4); None without one.

    Raises OSError.
    """
    unusable = IFA_F_DADFAILED | IFA_F_TENTATIVE
    found = []
    # Not /proc/net, which shows the main thread's namespace.
    with Path("/proc/thread-self/net/if_inet6").open(encoding="ascii") as lines:
        for line in lines:
            address, _, _, scope, flags, device = line.split()
            if device == name and int(scope, 16) == LINK_SCOPE and not int(flags, 16) & unusable:
                found.append(IPv6Address(int(address, 16)))
    return min(found, default=None)


def _ask(request: int, layout: struct.Struct, name: str) -> int:
    """A number that an ioctl returns for a device. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, request, layout.pack(name.encode(), 0))
    return int(layout.unpack(answer)[1])
