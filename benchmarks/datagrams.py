"""A sender and a sink of UDP datagrams that count exactly. A program: needs nothing but the standard library.

    python datagrams.py send ADDRESS PORT BYTES RATE SECONDS    RATE datagrams a second, one plain send each
    python datagrams.py sink PORT                               until its standard input ends and none comes

Both print JSON. Not iperf3: that finds a loss only where a later datagram arrives, leaves unread what its
sink still has when the sender says over TCP (through the tunnel that is full) that it is done, and costs a
sixth more CPU at 100,000 packets a second of 64 bytes. Like iperf3's, a burst leaves every millisecond, and a
longer one after a time in which the sender was not scheduled.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from pathlib import Path

SO_RCVBUFFORCE = 33  # Linux; `socket` has no name for it
TICK = 0.001  # seconds
ARREARS = 100  # ticks: a sender that was kept from running for longer does not make up for all of it
QUIET = 0.5  # seconds without a datagram: the rest is lost
BUFFER = 32 << 20  # bytes of socket buffer: the sink's socket must not be what loses datagrams


def send(address: str, port: int, size: int, rate: float, seconds: float) -> dict[str, float]:
    """How many were sent, and in how many seconds. What the system refuses at once is not sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        payload, write = bytes(size), sock.send
        sent = 0
        begin = tick = time.monotonic()
        owed = 0.0
        while tick - begin < seconds:
            burst = int(owed)
            for _ in range(burst):
                write(payload)
            sent += burst
            owed -= burst
            time.sleep(max(tick + TICK - time.monotonic(), 0))
            now = time.monotonic()
            owed += rate * min(now - tick, ARREARS * TICK)
            tick = now
    return {"sent": sent, "seconds": time.monotonic() - begin}


def sink(port: int) -> dict[str, float]:
    """How many came, in how many seconds from first to last, and how many its socket had no room for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(QUIET * 1e6)))
        sock.bind(("", port))
        print(json.dumps({"ready": True}), flush=True)
        buffer, read = bytearray(2048), sock.recv_into
        count = counted = 0
        first = last = 0.0
        while True:
            try:
                read(buffer)
                count += 1
                first = first or time.monotonic()
                while True:
                    read(buffer)
                    count += 1
            except BlockingIOError:
                if count > counted:
                    counted, last = count, time.monotonic() - QUIET
                if select.select([sys.stdin], [], [], 0)[0]:
                    break
        return {"received": count, "seconds": last - first, "dropped": _dropped(port)}


def _dropped(port: int) -> int:
    """The last column of the socket's line in /proc/net/udp: datagrams it had no room for."""
    lines = [line.split() for line in Path("/proc/self/net/udp").read_text().splitlines()[1:]]
    return sum(int(line[-1]) for line in lines if int(line[1].rpartition(":")[2], 16) == port)


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        print(json.dumps(sink(int(sys.argv[2]))))
    else:
        address, port, size, rate, seconds = sys.argv[2:]
        print(json.dumps(send(address, int(port), int(size), float(rate), float(seconds))))
