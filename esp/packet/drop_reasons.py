"""Why a packet went no further: the reasons that counters and status show."""

from __future__ import annotations

from enum import IntEnum


class Drop(IntEnum):
    """A drop reason. Users see the lower-case name; the number is its word in shared memory
    (`esp.ipc.counters`)."""

    # Ingress, without an SA
    UNKNOWN_SPI = 0
    KEEPALIVE = 1  # a NAT keepalive (RFC 3948 2.3): no error
    STRAY = 2  # IKE or ESP for another process that could not be forwarded
    # Ingress, with or without an SA
    MALFORMED = 3  # too short, wrong padding, no whole inner packet
    # Ingress, under an SA
    REPLAY = 4  # seen before, or left of the window (RFC 4303 3.4.3)
    INTEGRITY = 5  # wrong ICV
    NEXT_HEADER = 6  # neither IPv4, IPv6 nor dummy inside, or not what the packet is
    DUMMY = 7  # next header 59 (RFC 4303 2.6)
    SELECTORS = 8  # the inner packet does not match the SA's selectors
    DEVICE = 9  # the device refused the packet
    # Egress, without an SA
    NO_SA = 10  # no SA's selectors match
    QUEUE_FULL = 11  # the acquire queue is full
    QUEUE_AGE = 12  # waited too long for an SA
    # Egress, under an SA
    EXHAUSTED = 13  # out of sequence numbers
    NO_SOCKET = 14  # no socket is bound to the SA's local address
    NO_BUFFER = 15  # the socket's send queue is full
    TOO_BIG = 16  # EMSGSIZE
    UNREACHABLE = 17  # no route to the peer
    REFUSED = 18  # by a firewall
    SEND = 19  # any other error of the send
    # Ingress, under an SA
    ECN = 20  # outer CE mark on a not ECN-capable inner packet (RFC 6040 4.2)
    # Ingress, without an SA
    SOCKET_QUEUE = 21  # the socket's receive buffer was full
    # Egress, under an SA
    CONGESTION = 22  # dropped by CoDel to slow down its sender (`esp.datapath.codel`)
    # Egress, without an SA
    LOOP = 23  # our own ESP, routed back into a tunnel (`esp.datapath.loop_detection`)

    @property
    def text(self) -> str:
        return self.name.lower()
