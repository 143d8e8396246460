"""Makes the initiator under test do what a case needs: by commands, or by a person who is told.

A command is run with what is asked for in its environment: IKEPY_PROBE_ACTION, IKEPY_PROBE_CASE, and the
words of the profile in capitals behind IKEPY_PROBE_ (PROFILE, IKE, ESP, ...). It may wait for the tunnel, but
nobody waits for it longer than half a second. Exit status 2 says that the initiator can't do that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ikepy.probe.listen.profile import COMMON, Action, Profile
from ikepy.probe.verdict import Inconclusive, NotApplicable

ANY = "any"  # the name of the command for whatever has none of its own
_CANNOT = 2  # the exit status
_STOP_S = 10.0  # what stops it is waited for
_LARGEST = 500  # characters of what a command says


class Trigger(Protocol):
    """Asks the initiator. NotApplicable if it can't do that, Inconclusive if asking failed.

    `patience_s`: how much longer than a machine it may take."""

    patience_s: float

    async def ask(self, action: Action, profile: Profile, case: str) -> None: ...


class Commands:
    """Commands of the user's, without a shell, by the action's value or ANY.

    `configures`: they configure the initiator as the profile says; else it has the common configuration, and
    cases that need another one don't apply. A command that is still running when the next one begins is ended
    first. `grace_s`: how long it may take to say that it can't.
    """

    patience_s = 0.0

    def __init__(
        self, commands: Mapping[str, Sequence[str]], *, configures: bool = False, grace_s: float = 0.5
    ) -> None:
        self._commands = commands
        self._configures = configures
        self._grace_s = grace_s
        self._running: asyncio.Task[tuple[int, str]] | None = None

    async def ask(self, action: Action, profile: Profile, case: str) -> None:
        words = profile.words()
        if not self._configures and profile.differs_from(COMMON):
            raise NotApplicable(f"needs another configuration of the initiator: {_told(words)}")
        command = self._commands.get(action.value, self._commands.get(ANY))
        if command is None:
            if action == Action.STOP:
                return
            raise NotApplicable(f"no command makes the initiator do it (--trigger {action.value})")
        asked = {"action": action.value, "case": case, **words}
        variables = {f"IKEPY_PROBE_{key.upper()}": value for key, value in asked.items()}
        await self._run(command, variables, _STOP_S if action == Action.STOP else self._grace_s)

    async def _run(self, command: Sequence[str], variables: Mapping[str, str], grace_s: float) -> None:
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Inconclusive(f"{command[0]} can't be run: {error.strerror}") from None
        self._running = asyncio.create_task(_end_of(process))
        done, _ = await asyncio.wait([self._running], timeout=grace_s)
        if not done:
            return
        status, words = self._running.result()
        if status == _CANNOT:
            raise NotApplicable(words or f"{command[0]} says that the initiator can't do it")
        if status:
            raise Inconclusive(f"{command[0]} failed with exit status {status}: {words}")


async def _end_of(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Exit status and what it said of errors. It is ended if nobody waits for it any more."""
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace").strip()[-_LARGEST:]


def _told(words: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in words.items())


class Person:
    """Somebody at a terminal, who is told what to do and is given time for it."""

    patience_s = 300.0

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        self._told: Profile | None = None

    async def ask(self, action: Action, profile: Profile, case: str) -> None:
        if action == Action.STOP:
            return
        if profile != self._told:
            self._told = profile
            self._say(f"{case}: configure the initiator:")
            for key, value in profile.words().items():
                self._say(f"    {key}: {value}")
        self._say(f"{case}: {_WHAT[action]}")


_WHAT = {
    Action.INITIATE: "delete what SAs it still has, and make it set up the tunnel",
    Action.REKEY_CHILD: "make it rekey the CHILD_SA, or wait for its lifetime",
    Action.REKEY_IKE: "make it rekey the IKE_SA, or wait for its lifetime",
    Action.NEW_CHILD: "make it set up a second CHILD_SA, for the second host behind us",
}
