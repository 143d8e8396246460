"""The server's side of the control socket, with answers that a test chooses."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FakeDaemon:
    """Answers every client with `answer`, and keeps what they asked in `requests`."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self.path = path
        self.requests: list[object] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client, client.makefile("rb") as lines:
                line = lines.readline()
                if not line:
                    return  # `close` was here
                self.requests.append(json.loads(line))
                client.sendall(self._answer)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._socket.close()


def lines(*objects: object) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


@contextmanager
def fake_daemon(path: Path, answer: bytes) -> Iterator[FakeDaemon]:
    """A daemon that listens on `path` until the block ends."""
    daemon = FakeDaemon(path, answer)
    try:
        yield daemon
    finally:
        daemon.close()
