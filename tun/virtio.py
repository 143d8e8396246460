"""The virtio header in front of each frame of a TUN device with offloads, and how to enable offloads.

linux/virtio_net.h and linux/if_tun.h; the header is in the machine's own byte order.
"""

from __future__ import annotations

import fcntl
import struct

HEADER = struct.Struct("=BBHHHH")  # flags, GSO type, header length, GSO size, checksum's start and offset
SIZE = HEADER.size
PLAIN = bytes(SIZE)  # no offload: the kernel verifies checksums

NEEDS_CSUM = 1  # the checksum field holds only the pseudo header's sum
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 = 0, 1, 4, 5
GSO_ECN = 0x80  # beside a type: the first segment has CWR

_TUNGETIFF = 0x800454D2
_TUNSETOFFLOAD = 0x400454D0
_IFREQ = struct.Struct("16sH22x")

IFF_VNET_HDR = 0x4000
_CSUM, _TSO4, _TSO6, _TSO_ECN, _USO4, _USO6 = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40
_TSO = _CSUM | _TSO4 | _TSO6
_OFFLOADS = (_TSO | _TSO_ECN | _USO4 | _USO6, _TSO | _TSO_ECN, _TSO, _CSUM)  # USO came with Linux 6.2


def enable_offloads(fd: int) -> None:
    """Enable as many of the offloads (checksum, TSO, USO) as this kernel has."""
    for offloads in _OFFLOADS:
        try:
            fcntl.ioctl(fd, _TUNSETOFFLOAD, offloads)
        except OSError:
            continue
        return


def has_header(fd: int) -> bool:
    """Whether `fd` is a TUN device whose frames have the virtio header."""
    try:
        answer = fcntl.ioctl(fd, _TUNGETIFF, bytes(_IFREQ.size))
    except OSError:
        return False
    return bool(_IFREQ.unpack(answer)[1] & IFF_VNET_HDR)
