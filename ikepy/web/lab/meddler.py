"""Drops, delays, repeats or corrupts what crosses the internet of the lab.

While something is to be done, nftables keeps the node from forwarding the packets in question, and they are
forwarded from here, as a router does it (RFC 1812 5.2.1): each is read on its way in by a packet socket, and
sent on by a raw one. There is no netem in every kernel, and none that leaves ESP alone while it drops the
second message of IKE.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ikepy.lab.netns import Namespace
from ikepy.web.lab.udp import Datagram, datagram_of

_ETH_P_IP = 0x0800
_OUTGOING = 4
_UDP = 17
_TABLE = "ikepy_window"
_MATCHES = {
    "IKE": ("udp dport 500", "udp sport 500", "udp dport 4500 @th,64,32 0", "udp sport 4500 @th,64,32 0"),
    "ESP": ("meta l4proto esp", "udp dport 4500 @th,64,32 != 0", "udp sport 4500 @th,64,32 != 0"),
}
SECOND_COPY = 0.05  # seconds after the first


class Verb(StrEnum):
    """What is done to a packet."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    CORRUPT = "corrupt"


@dataclass(slots=True)
class Order:
    """What is done to the next `left` packets of a kind, "IKE" or "ESP"; `seconds`: how long they are held
    back."""

    verb: Verb
    what: str
    left: int
    seconds: float = 0.0


Told = Callable[[Datagram, str], None]  # a packet, and what becomes of it


class Meddler:
    """On one node, which forwards between two networks. `told` hears of each packet that is meddled with."""

    def __init__(self, node: Namespace, told: Told) -> None:
        self._node = node
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._orders: list[Order] = []
        self._held: set[asyncio.TimerHandle] = set()
        self._reading: socket.socket | None = None
        self._sending: socket.socket | None = None
        self._changing = asyncio.Lock()

    @property
    def orders(self) -> list[Order]:
        """What is still to be done."""
        return list(self._orders)

    async def order(self, order: Order) -> None:
        """Do this from now on, after what was ordered before. LabError where nftables refuses."""
        self._orders.append(order)
        try:
            await self._follow()
        except BaseException:
            self._orders.remove(order)
            raise

    async def stop(self) -> None:
        """Let everything pass again; what is held back is sent now or never."""
        self._orders.clear()
        for handle in list(self._held):
            handle.cancel()
        self._held.clear()
        await self._follow()

    async def _follow(self) -> None:
        """Let the kernel keep back what the orders are about, and nothing else."""
        async with self._changing:
            kinds = sorted({order.what for order in self._orders})
            if kinds and self._reading is None:
                self._open()
            await asyncio.to_thread(self._keep_back, kinds)
            if not self._orders:
                self._close()

    def _keep_back(self, kinds: list[str]) -> None:
        rules = "".join(f"        {match} drop\n" for kind in kinds for match in _MATCHES[kind])
        chain = (
            f"    chain forward {{\n        type filter hook forward priority 0;\n{rules}    }}\n"
            if kinds
            else ""
        )
        # The first line makes the second one right where there is no such table.
        text = f"table ip {_TABLE}\ndelete table ip {_TABLE}\n"
        self._node.run("nft", "-f", "-", text=text + (f"table ip {_TABLE} {{\n{chain}}}\n" if kinds else ""))

    def _open(self) -> None:
        self._reading = self._node.inside(_packet_socket)
        self._sending = self._node.inside(_raw_socket)
        self._loop.add_reader(self._reading, self._read)

    def _close(self) -> None:
        for one in (self._reading, self._sending):
            if one is not None:
                self._loop.remove_reader(one)
                one.close()
        self._reading = self._sending = None

    def _read(self) -> None:
        assert self._reading is not None
        for _ in range(32):
            try:
                packet, (_, _, direction, link, _) = self._reading.recvfrom(1 << 16)
            except BlockingIOError:
                return
            except OSError:  # a device went down
                continue
            if direction != _OUTGOING:
                self._take(packet, link)

    def _take(self, frame: bytes, link: int) -> None:
        datagram = datagram_of(frame, link)
        if datagram is None:
            return
        what = "IKE" if datagram.ike is not None else "ESP"
        if not any(order.what == what for order in self._orders):
            return  # the kernel forwards it
        order = next((one for one in self._orders if one.what == what and one.left), None)
        packet = forwarded(frame[14:])
        if order is None:  # the last one is done: until the kernel is told
            self._send(packet)
            return
        order.left -= 1
        self._told(datagram, self._do(order, packet))
        if not order.left:
            self._loop.create_task(self._done())

    def _do(self, order: Order, packet: bytes) -> str:
        """Do it; what became of the packet, in words."""
        match order.verb:
            case Verb.DROP:
                return "dropped on the way"
            case Verb.DELAY:
                self._send_later(order.seconds, packet)
                return f"held back for {order.seconds:g} s"
            case Verb.DUPLICATE:
                self._send(packet)
                self._send_later(SECOND_COPY, packet)
                return "sent twice on the way"
            case Verb.CORRUPT:
                self._send(corrupted(packet))
                return "one bit is changed on the way"

    async def _done(self) -> None:
        """An order is carried out."""
        if any(order.left == 0 for order in self._orders):
            self._orders = [order for order in self._orders if order.left]
            await self._follow()

    def _send_later(self, seconds: float, packet: bytes) -> None:
        def send() -> None:
            self._held.discard(handle)
            self._send(packet)

        handle = self._loop.call_later(seconds, send)
        self._held.add(handle)

    def _send(self, packet: bytes) -> None:
        sending = self._sending or self._node.inside(
            _raw_socket
        )  # held back for longer than there were orders
        with contextlib.suppress(OSError):  # no route: the link is cut
            sending.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        if sending is not self._sending:
            sending.close()


def forwarded(packet: bytes) -> bytes:
    """An IPv4 packet after one more hop, its UDP checksum made whole (a virtual cable leaves it open)."""
    whole = bytearray(packet[: int.from_bytes(packet[2:4], "big") or len(packet)])
    whole[8] = max(whole[8] - 1, 1)
    return bytes(_with_checksum(whole))


def corrupted(packet: bytes) -> bytes:
    """With one bit changed where the payload ends, and a UDP checksum that fits: IP and UDP see nothing of
    it."""
    whole = bytearray(packet)
    whole[-1] ^= 0x01
    return bytes(_with_checksum(whole))


def _with_checksum(packet: bytearray) -> bytearray:
    """RFC 768; the IP header's checksum is the raw socket's (ip(7), raw(7))."""
    header = (packet[0] & 15) * 4
    if packet[9] != _UDP or len(packet) < header + 8:
        return packet
    packet[header + 6 : header + 8] = bytes(2)
    body = packet[header:]
    pseudo = packet[12:20] + bytes([0, _UDP]) + len(body).to_bytes(2, "big")
    total = _sum(pseudo + body)
    packet[header + 6 : header + 8] = (total ^ 0xFFFF or 0xFFFF).to_bytes(2, "big")
    return packet


def _sum(data: bytearray) -> int:
    """The ones' complement sum of 16-bit words (RFC 1071)."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF
    return total or 0xFFFF


def _packet_socket() -> socket.socket:
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return one


def _raw_socket() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    one.setblocking(False)
    return one
