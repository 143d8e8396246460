"""Sends and receives IPC messages (`esp.ipc.messages`), with a file descriptor (SCM_RIGHTS) where one belongs
to them."""

from __future__ import annotations

import array
import os
import socket

from esp.ipc.messages import AddDevice, AddSocket, Message, MessageError, decode, encode

MAX_MESSAGE = 131072  # octets; the largest carries a datagram of 65,535
_ANCILLARY = socket.CMSG_SPACE(4 * array.array("i").itemsize)
_WITH_FD = (AddSocket, AddDevice)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected SOCK_SEQPACKET sockets: one for control, one for the worker. Both block."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message, fd: int | None = None) -> None:
    """Send a message, with `fd` for AddSocket and AddDevice and only for these (it stays open here).

    Raises MessageError, BlockingIOError if the socket is full and non-blocking, OSError if the other end is
    gone.
    """
    if isinstance(message, _WITH_FD) != (fd is not None):
        raise MessageError(f"{type(message).__name__}: file descriptor missing or not wanted")
    data = encode(message)
    if fd is None:
        sock.send(data, socket.MSG_NOSIGNAL)
        return
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
    sock.sendmsg([data], [rights], socket.MSG_NOSIGNAL)


def receive(sock: socket.socket) -> tuple[Message, int | None] | None:
    """The next message and its file descriptor (the caller's to close), None when the other end is closed.

    Raises BlockingIOError if there is none and the socket is non-blocking, MessageError for a malformed
    message, which is consumed.
    """
    try:
        data, ancillary, flags, _ = sock.recvmsg(MAX_MESSAGE, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = _descriptors(ancillary)
    if not data:
        _close(fds)
        return None
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise MessageError("truncated")
        message = decode(data)
        if len(fds) != isinstance(message, _WITH_FD):
            raise MessageError(f"{type(message).__name__}: file descriptor missing or not wanted")
    except MessageError:
        _close(fds)
        raise
    return message, fds[0] if fds else None


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
