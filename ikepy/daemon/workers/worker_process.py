"""Control's side of one worker process: starts it, exchanges messages with it, notices its exit.

Control never waits for a worker: its end of the SOCK_SEQPACKET pair (unix(7)) doesn't block, and messages
that don't fit are queued: as many as there are devices and sockets may come at once. A worker that reads none
of them is ended as one that hangs (`ikepy.daemon.workers.heartbeat`).
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from esp.ipc import channel
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import Message, MessageError, Ping, Pong, Ready, encode
from ikepy.daemon import log
from ikepy.daemon.interfaces import Launcher
from ikepy.daemon.workers.heartbeat import Pulse
from ikepy.daemon.workers.worker_main import greet

BATCH = 64  # messages read before the loop gets its turn again

# Gives the descriptor that goes with a message when its turn comes; negative: it was closed meanwhile, and
# its number may be another file's.
Descriptor = Callable[[], int]
OnMessage = Callable[[int, Message], None]
OnReady = Callable[[], None]


class WorkerProcess:
    """One process, and control's end of the pair."""

    def __init__(
        self,
        slot: int,
        workers: int,
        counters: CounterBlock,
        on_message: OnMessage,
        on_ready: OnReady,
        launcher: Launcher,
    ) -> None:
        """Start the process. Raises OSError."""
        self._slot = slot
        self._on_message = on_message
        self._on_ready = on_ready
        self._queue: deque[tuple[Message, Descriptor | None]] = deque()
        self._loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.started = self._loop.time()
        self._sock, theirs = channel.pair()
        try:
            greet(self._sock, slot, workers, counters)
            self.pid, self._pidfd = launcher.start(theirs.fileno())
        except BaseException:
            self._sock.close()
            raise
        finally:
            theirs.close()
        self._launcher = launcher
        self.pulse = Pulse(Path(f"/proc/{self.pid}/stat"), self._loop.time())
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._read)

    def watch(self, on_exit: Callable[[int], None]) -> None:
        """Call `on_exit` once with the exit status (negative: the signal)."""
        self._loop.add_reader(self._pidfd, self._exited, on_exit)

    def send(self, message: Message, descriptor: Descriptor | None = None) -> None:
        """Send in order, without waiting; a message whose descriptor is closed by then is left out.

        Raises MessageError.
        """
        if not self._queue:
            try:
                self._send(message, descriptor)
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._write)
            except OSError:
                self.kill()  # the worker's end is closed: its exit follows
                return
            else:
                return
        encode(message)  # a message that can't be encoded raises now, not when its turn comes
        self._queue.append((message, descriptor))

    def _send(self, message: Message, descriptor: Descriptor | None) -> None:
        fd = None if descriptor is None else descriptor()
        if fd is None or fd >= 0:
            channel.send(self._sock, message, fd)

    def offer(self, message: Message) -> bool:
        """Send a message that may be lost, unless the worker has to be waited for. Whether it was sent."""
        if self._queue:
            return False
        try:
            channel.send(self._sock, message)
        except BlockingIOError:
            return False
        except OSError:
            self.kill()  # as in `send`
            return False
        return True

    def ping(self) -> str | None:
        """Ping the worker. Returns why it is taken to hang; None if it is not."""
        if self._sock.fileno() < 0:
            return None  # it is being ended
        verdict = self.pulse.verdict(self._loop.time())
        if verdict is None and self.ready.is_set() and not self._queue:
            self.send(Ping())
        return verdict

    def _write(self) -> None:
        try:
            while self._queue:
                self._send(*self._queue[0])
                self._queue.popleft()
                self.pulse.answered(self._loop.time())  # it reads: as long as messages wait, it gets no ping
        except BlockingIOError:
            return
        except OSError:
            self.kill()
        else:
            self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        for _ in range(BATCH):
            try:
                received = channel.receive(self._sock)
            except BlockingIOError:
                return
            except (MessageError, OSError) as error:
                log.error(f"worker {self._slot}", f"talks nonsense: {error}; it is ended", "esp")
                received = None
            if received is None:
                self.kill()
                return
            message, fd = received
            if fd is not None:
                os.close(fd)
            if isinstance(message, Ready):
                self.ready.set()
                self.pulse.begin(self._loop.time())
                self._on_ready()
            elif isinstance(message, Pong):
                self.pulse.answered(self._loop.time())
                continue
            self._on_message(self._slot, message)
            if self._sock.fileno() < 0:  # an answer to it found the other end closed
                return

    def kill(self) -> None:
        """End the process by SIGKILL; its exit is reported as any other."""
        self._forget_socket()
        if not self.ended.is_set():
            self._launcher.kill(self.pid)

    def hang_up(self) -> None:
        """Close control's end of the pair: the worker then ends by itself."""
        self._forget_socket()

    def _forget_socket(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
        self._queue.clear()

    def _exited(self, on_exit: Callable[[int], None]) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._launcher.reap(self.pid)
        self.ended.set()
        self._forget_socket()
        on_exit(status)
