"""Why a packet went no further: the reasons that counters and status show."""

from __future__ import annotations

from enum import IntEnum


class Drop(IntEnum):
    """Why a packet went no further. The lower-case name is what users see; the number is the word."""

    # In, without an SA
    UNKNOWN_SPI = 0
    KEEPALIVE = 1  # a NAT keepalive (RFC 3948 2.3): dropping it is what it is for
    STRAY = 2  # IKE or ESP for another process that could not be passed on
    # In, both
    MALFORMED = 3  # too short, wrong padding, no whole inner packet
    # In, under an SA
    REPLAY = 4  # seen before, or left of the window (RFC 4303 3.4.3)
    INTEGRITY = 5
    NEXT_HEADER = 6  # neither IPv4, IPv6 nor dummy inside, or not what the packet is
    DUMMY = 7  # next header 59 (RFC 4303 2.6)
    SELECTORS = 8  # inner addresses, protocol or ports that this SA may not carry
    DEVICE = 9  # the device took no more
    # Out, without an SA
    NO_SA = 10
    QUEUE_FULL = 11  # waited for an SA, too many did
    QUEUE_AGE = 12  # waited for an SA, too long
    # Out, under an SA
    EXHAUSTED = 13  # out of sequence numbers
    NO_SOCKET = 14  # no socket has the SA's local address
    NO_BUFFER = 15  # the socket's send queue is full
    TOO_BIG = 16
    UNREACHABLE = 17
    REFUSED = 18  # by the firewall
    SEND = 19  # any other error of the send
    # In, under an SA
    ECN = 20  # marked on its way as congestion experienced, but not able to carry the mark (RFC 6040 4.2)
    # In, without an SA
    SOCKET_QUEUE = 21  # the kernel had no room left in the socket's receive buffer
    # Out, under an SA
    CONGESTION = 22  # one of many, to tell its sender to slow down (`esp.datapath.codel`)
    # Out, without an SA
    LOOP = 23  # our own ESP, which the routes lead back into a tunnel (`esp.datapath.loop_detection`)

    @property
    def text(self) -> str:
        return self.name.lower()
