"""A thread that writes the log, so that nothing else waits for the log's reader.

stderr may be a pipe whose reader has stopped. Lines that don't fit into a bounded queue are lost and counted,
and a line with their number follows as soon as the reader goes on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

MOST = 1 << 20  # characters that wait to be written

Write = Callable[[str], None]  # of whole lines; may block, may raise OSError or ValueError


class LogWriter:
    """Takes lines from any thread without blocking. `tell_lost` makes the line about so many lost ones."""

    def __init__(self, write: Write, tell_lost: Callable[[int], str], most: int = MOST) -> None:
        self._write = write
        self._tell_lost = tell_lost
        self._most = most
        self._lines: deque[str] = deque()
        self._waiting = 0  # characters of the lines that wait or are being written
        self._untold = 0  # lost lines that were not logged yet
        self._busy = False
        self._closed = False
        self.lost = 0
        self._changed = threading.Condition()
        # A daemon thread: if it hangs in `write`, the process can end all the same.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line with its line end. It is lost if too much waits."""
        with self._changed:
            if self._closed or self._waiting + len(line) > self._most:
                self.lost += 1
                self._untold += 1
                return
            self._lines.append(line)
            self._waiting += len(line)
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written, at most so many seconds. Whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._lines or self._busy or self._untold), seconds)

    def close(self, seconds: float) -> None:
        """Write what waits, in at most so many seconds, and end the thread."""
        self.drain(seconds)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _run(self) -> None:
        while (text := self._next()) is not None:
            try:
                self._write(text)
            except (OSError, ValueError):  # the reader is gone, or the stream is closed
                with self._changed:
                    self.lost += text.count("\n")
            with self._changed:
                self._waiting = max(0, self._waiting - len(text))
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> str | None:
        """Wait for lines, and return all of them in one text; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._untold or self._closed)
            if not self._lines and not self._untold:
                return None
            text = "".join(self._lines)
            self._lines.clear()
            if self._untold:
                line = self._tell_lost(self._untold)
                self._untold = 0
                self._waiting += len(line)
                text += line
            self._busy = True
            return text
