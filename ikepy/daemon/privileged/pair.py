"""Sends and receives messages of the pair between control and the privileged process, with a descriptor where
one belongs to them (SOCK_SEQPACKET, SCM_RIGHTS: unix(7))."""

from __future__ import annotations

import array
import os
import socket

from ikepy.daemon.privileged.codec import MAX_MESSAGE

_ITEM = array.array("i").itemsize
_ANCILLARY = socket.CMSG_SPACE(4 * _ITEM)


def send(sock: socket.socket, data: bytes, fd: int | None = None) -> None:
    """Raises OSError."""
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """A message and its descriptors (the caller's to close); None when the other end is closed.

    A message that is too large comes cut off at MAX_MESSAGE + 1 octets. Raises OSError.
    """
    try:
        data, ancillary, _, _ = sock.recvmsg(MAX_MESSAGE + 1, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = array.array("i")
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(rights[: len(rights) - len(rights) % _ITEM])
    if not data:
        close(list(fds))
        return None
    return data, list(fds)


def close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
