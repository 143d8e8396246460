"""The control socket: a Unix socket (unix(7)) for who may use it, with a bounded number of clients.

A new client always gets in: if there are too many, idle ones are disconnected first, then those that wait for
an outcome. `ikepy.daemon.vici` has the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from ikepy.daemon import log
from ikepy.daemon.control.accepting import accept_waiting
from ikepy.daemon.control.access import Access, Peer
from ikepy.daemon.control.socket_client import SocketClient
from ikepy.daemon.errors import StartError

MAX_CLIENTS = 64
BACKLOG = 1024  # clients that wait in the kernel to be accepted (listen(2))
TURN = 16  # clients accepted before the loop gets its turn again
RUNTIME = Path("/run/ikepy")  # the default socket's directory; /run is empty after each boot
PAUSE = 0.5  # seconds until the next attempt to accept, where the system has no descriptor or memory for it
SUBJECT = "control"
KEY = "daemon.socket"
GROUPS_DIRECTORY, GROUPS_SOCKET = 0o750, 0o660  # modes, if a group may use the socket
MOST_REFUSED = 100  # users that are refused, each told once


class ControlSocket:
    """The listening socket and its clients."""

    def __init__(self, path: Path, sock: socket.socket, access: Access) -> None:
        self.path = path
        self._access = access
        self._refused: set[int] = set()
        self._sock = sock
        self.inode = path.stat().st_ino
        self._clients: dict[SocketClient, asyncio.Task[None]] = {}
        self._make: Callable[[socket.socket], SocketClient] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._exhausted = False
        self._crowded = False

    @classmethod
    def open(cls, path: Path, runtime: Path = RUNTIME, *, group: str = "") -> ControlSocket:
        """Bind `path`, and replace a dead daemon's socket there. Raises StartError.

        `group`: whose members may use it besides root and us, "": nobody. The directory must exist, so that
        a typing error creates none; only `runtime` is created if need be.
        """
        access = Access.of(group)
        try:
            if path.parent == runtime:
                runtime.mkdir(mode=0o700, exist_ok=True)
                access.give(runtime, GROUPS_DIRECTORY)
            elif not path.parent.is_dir():
                text = f"{path}: there is no directory {path.parent}: make it, or name another socket"
                raise StartError(f"{text} (--socket, IKEPY_SOCKET, or socket in [daemon])")
            refuse_living(path)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                mask = os.umask(0o177)
                try:
                    sock.bind(str(path))
                finally:
                    os.umask(mask)
                access.give(path, GROUPS_SOCKET)
                sock.listen(BACKLOG)
                return cls(path, sock, access)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise StartError(f"{path}: {error.strerror or error}", key=KEY) from error

    def start(self, make: Callable[[socket.socket], SocketClient]) -> None:
        """Serve clients from now on, each by what `make` makes of its socket."""
        self._make = make
        asyncio.get_running_loop().add_reader(self._sock, self._accept)

    async def close(self) -> None:
        """Close the socket and its clients, and remove the file if it is still ours."""
        asyncio.get_running_loop().remove_reader(self._sock)
        if self._again is not None:
            self._again.cancel()
        self._sock.close()
        for client, task in tuple(self._clients.items()):
            client.hang_up()
            task.cancel()
        await asyncio.gather(*self._clients.values(), return_exceptions=True)
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()

    def _accept(self) -> None:
        if (error := accept_waiting(self._sock, TURN, self._take)) is not None:
            self._pause(error)

    def _take(self, sock: socket.socket) -> None:
        if self._exhausted:
            self._exhausted = False
            log.info(SUBJECT, "clients are served again", "control")
        if self._may_use_it(sock):
            self._add(sock)
        else:
            sock.close()

    def _may_use_it(self, sock: socket.socket) -> bool:
        try:
            peer = Peer.of(sock)
        except OSError:
            return False  # it is gone
        if self._access.permits(peer):
            return True
        if peer.uid not in self._refused and len(self._refused) < MOST_REFUSED:
            self._refused.add(peer.uid)
            text = (
                f"a client of user {peer.uid} (pid {peer.pid}) is refused: the socket is for root, who "
                "started the daemon, and the group that daemon.socket_group names; others of theirs are "
                "refused in silence"
            )
            log.warning(SUBJECT, text, "control")
        return False

    def _add(self, sock: socket.socket) -> None:
        assert self._make is not None
        if len(self._clients) >= MAX_CLIENTS:
            if not self._crowded:
                log.warning(
                    SUBJECT,
                    f"more than {MAX_CLIENTS} clients: the longest idle ones are sent away",
                    "control",
                )
            self._crowded = True
            self._send_one_away()
        elif len(self._clients) < MAX_CLIENTS // 2:
            self._crowded = False
        sock.setblocking(False)
        client = self._make(sock)
        task = asyncio.create_task(client.serve())
        self._clients[client] = task
        task.add_done_callback(lambda task: self._ended(client, task))

    def _ended(self, client: SocketClient, task: asyncio.Task[None]) -> None:
        self._clients.pop(client, None)
        client.ended()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.log(logging.ERROR, SUBJECT, "a client's request failed", "control", traceback=error)

    def _send_one_away(self) -> None:
        """Disconnect the client that has been idle for longest, or else the one that has waited longest."""
        client = min(self._clients, key=lambda one: (one.busy, one.since), default=None)
        if client is not None:
            client.send_away()
            self._clients.pop(client).cancel()

    def _pause(self, error: OSError) -> None:
        """Stop accepting for a while: else clients that can't be accepted would wake the loop all the
        time."""
        if not self._exhausted:
            self._exhausted = True
            text = f"no new clients for now: {error.strerror}; it is tried again every {PAUSE:g} s"
            log.error(SUBJECT, text, "control")
        if any(not client.busy for client in self._clients):
            self._send_one_away()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        self._again = loop.call_later(PAUSE, loop.add_reader, self._sock, self._accept)


def refuse_living(path: Path) -> None:
    """Raise StartError if a daemon listens on `path`, or `path` is not a socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartError(f"{path} exists and is no socket", key=KEY)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}", key=KEY) from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        running = f"already running (socket {path})"  # also if it is too busy to accept
        try:
            probe.connect(str(path))
            if pid := Peer.of(probe).pid:  # 0: it is in another PID namespace
                running = f"already running (pid {pid}, socket {path})"
        except ConnectionRefusedError:
            return  # its daemon is dead
        except (TimeoutError, BlockingIOError):
            pass
        except OSError as error:
            raise StartError(f"{path}: {error.strerror or error}", key=KEY) from error
    raise StartError(f"{running}; a second daemon needs a socket of its own: --socket or {KEY}")
