"""Path MTU discovery for native ESP over IPv6, where only the sender fragments (RFC 8200 5, RFC 8201).

Linux learns the path MTU from a Packet Too Big message that answers a UDP socket's packet; for a raw socket
it does so only if that has IPV6_RECVERR (ipv6(7)). What it has learned holds for all sockets that send to the
same peer. So control opens one more raw socket an address, which receives no packets and discards the errors,
and the workers' sockets need no error queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket

from esp.net.bpf import attach_refusal

_IPV6_RECVERR = 25  # linux/in6.h
_AT_ONCE = 64  # errors


class PathMtuSocket:
    """Lets the kernel learn the path MTUs of packets from one IPv6 address, once `start` was called."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock`: a raw ESP socket of the address, from now on this one's. Raises OSError."""
        self._sock = sock
        try:
            attach_refusal(self._sock)
            self._sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        except BaseException:
            self._sock.close()
            raise
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock, self._forget_errors)

    def _forget_errors(self) -> None:
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        for _ in range(_AT_ONCE):
            try:
                self._sock.recvmsg(0, 0, socket.MSG_ERRQUEUE)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    continue
                break
        with contextlib.suppress(OSError):  # what came before the filter was in place
            self._sock.recv(0)

    def close(self) -> None:
        if self._loop is not None and self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
        self._sock.close()
