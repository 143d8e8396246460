"""The header in front of each frame of a TUN device with offloads, and asking the kernel for these.

linux/virtio_net.h and linux/if_tun.h; the header is in the machine's own byte order.
"""

from __future__ import annotations

import fcntl
import struct

from tun.checksum import partial_to_full

HEADER = struct.Struct("=BBHHHH")  # flags, GSO type, header length, GSO size, checksum's start and offset
SIZE = HEADER.size
PLAIN = bytes(SIZE)  # a packet as it is: the kernel checks its checksums

NEEDS_CSUM = 1  # the checksum's field holds the pseudo header's sum only
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 = 0, 1, 4, 5
GSO_ECN = 0x80  # beside a type: the first segment has CWR

_TUNGETIFF = 0x800454D2
_TUNSETOFFLOAD = 0x400454D0
_IFREQ = struct.Struct("16sH22x")

IFF_VNET_HDR = 0x4000
_CSUM, _TSO4, _TSO6, _TSO_ECN, _USO4, _USO6 = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40
_TSO = _CSUM | _TSO4 | _TSO6
_WISHES = (_TSO | _TSO_ECN | _USO4 | _USO6, _TSO | _TSO_ECN, _TSO, _CSUM)  # USO came with Linux 6.2


def ask_for_offloads(fd: int) -> None:
    """Let the kernel hand over what segmentation and checksums it would have to do, as much as it can."""
    for wish in _WISHES:
        try:
            fcntl.ioctl(fd, _TUNSETOFFLOAD, wish)
        except OSError:
            continue
        return


def has_header(fd: int) -> bool:
    """Whether frames of the TUN device behind `fd` have the header. Anything else has none."""
    try:
        answer = fcntl.ioctl(fd, _TUNGETIFF, bytes(_IFREQ.size))
    except OSError:
        return False
    return bool(_IFREQ.unpack(answer)[1] & IFF_VNET_HDR)


def complete_checksum(frame: memoryview) -> None:
    """Finish the partial checksum of a packet behind its header, in place. Nonsense is left as it is."""
    start, offset = HEADER.unpack_from(frame)[4:]
    packet = frame[SIZE:]
    if start + offset + 2 <= len(packet):
        partial_to_full(packet, start, start + offset)
