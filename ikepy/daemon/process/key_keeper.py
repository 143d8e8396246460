"""Keeps the keys that outlive the process (`RestartKeys`): makes them, has them in a file, replaces them.

The key of tokens stays (RFC 6290 5.1). Ticket keys are replaced by new ones, and forgotten once no ticket
under them is valid (RFC 5723 9.5).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Self

from ikepy.config.model import Daemon
from ikepy.crypto.crash_token import SECRET_SIZE
from ikepy.crypto.secret import Secret
from ikepy.daemon import log
from ikepy.daemon.process.key_file import KEY_SIZE, DatedKey, KeyFile, StoredKeys
from ikepy.sa.api.restart_keys import RestartKeys, TicketKey

ROTATION = 6 * 3600  # seconds for which tickets are made with one key
KEPT = 30 * 3600  # seconds for which tickets of a key are accepted: more than the longest lifetime besides
LOOK = 60.0  # seconds between two looks at the clocks
SUBJECT = "keys"


class KeyKeeper:
    """Writes `keys`, from `open` to `close`."""

    def __init__(self, file: KeyFile | None, *, makes_tokens: bool, clock: Callable[[], float]) -> None:
        """`clock`: Unix time in seconds."""
        self.keys = RestartKeys()
        self._file = file
        self._makes_tokens = makes_tokens and file is not None
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        stored = None if file is None else file.read()
        self._stored = stored or StoredKeys(Secret(os.urandom(SECRET_SIZE)))
        self._changed, self._failed = stored is None, False
        self.look()

    @classmethod
    def open(cls, settings: Daemon, clock: Callable[[], float] = time.time) -> Self:
        """Read what the process before has left, if there is a directory for it. Raises StartError."""
        file = None if settings.state_dir is None else KeyFile.open(settings.state_dir)
        return cls(file, makes_tokens=settings.crash_detection, clock=clock)

    def start(self) -> None:
        """Look at the clocks from now on: they may be set, and stand still while the host sleeps."""
        self._timer = asyncio.get_running_loop().call_later(LOOK, self.start)
        self.look()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._file is not None:
            self._file.close()

    def look(self) -> None:
        """Replace keys that are due, and keep what has changed."""
        now = int(self._clock())
        self._rotate(now)
        if self._changed and self._file is not None:
            self._write(self._file)
        self.keys.epoch = self._clock() - time.monotonic()
        self.keys.crash = (self._stored.crash,) if self._makes_tokens else ()
        self.keys.tickets = tuple(TicketKey(one.key_id, one.secret) for one in self._stored.tickets)

    def _write(self, file: KeyFile) -> None:
        """Each look tries again, and one failure is told."""
        try:
            file.write(self._stored)
        except OSError as error:
            if not self._failed:
                text = f"the keys for a restart can't be written, peers will notice it later: {error}"
                log.error(SUBJECT, text)
            self._failed = True
        else:
            self._changed = self._failed = False

    def _rotate(self, now: int) -> None:
        # One that is of the future was made before the clock was set back: nobody can say how old it is.
        valid = [one for one in self._stored.tickets if now - KEPT < one.made_at <= now]
        if not valid or now - valid[0].made_at >= ROTATION:
            valid.insert(0, DatedKey(os.urandom(4), now, Secret(os.urandom(KEY_SIZE))))
        if tuple(valid) != self._stored.tickets:
            self._stored = StoredKeys(self._stored.crash, tuple(valid))
            self._changed = True
