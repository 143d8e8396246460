"""The commands of the control socket, named as in swanctl: checks them, and gives them to the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypedDict

from ikepy.config.model import Config
from ikepy.daemon.bus.event_bus import Missed, Subscription
from ikepy.daemon.control import status
from ikepy.daemon.control.control_client import CommandError, Progress
from ikepy.daemon.control.names import check_names, find_child
from ikepy.daemon.control.snapshot import Section
from ikepy.daemon.control.status import Json
from ikepy.daemon.control.take_snapshot import Sources, take
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.errors import ConfigError, LocalMisuse
from ikepy.sa.api.commands import Command, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Level, Log

Arguments = dict[str, Json]
NUMBER = (int, float)
LONGEST = 86400  # seconds

# command -> its arguments and their types
_CRITERIA: dict[str, tuple[type, ...]] = {
    "ike": (str,),
    "child": (str,),
    "ike_id": (int,),
    "child_id": (int,),
}
ARGUMENTS: dict[str, dict[str, tuple[type, ...]]] = {
    "list-sas": {"ike": (str,), "ike_id": (int,)},
    "list-conns": {},
    "counters": {},
    "reload": {},
    "initiate": {"child": (str,), "ike": (str,), "timeout": NUMBER},
    "terminate": {**_CRITERIA, "force": (bool,), "timeout": NUMBER},
    "rekey": {**_CRITERIA, "reauth": (bool,), "timeout": NUMBER},
}


class Criteria(TypedDict):
    """Which SAs a command is about: those that match each that is not None."""

    ike: str | None
    child: str | None
    ike_id: int | None
    child_id: int | None


class Requests:
    """Executes the commands of the control socket's clients."""

    def __init__(self, sources: Sources, runner: EffectsRunner, desired: DesiredConfig) -> None:
        self._sources = sources
        self._desired = desired
        self._runner = runner
        self._commands: dict[str, Callable[[Arguments, Progress], Awaitable[Json]]] = {
            "list-sas": self._list_sas,
            "list-conns": self._list_conns,
            "counters": self._drop_counters,
            "reload": self._reload,
            "initiate": self._initiate,
            "terminate": self._terminate,
            "rekey": self._rekey,
        }

    @property
    def _config(self) -> Config:
        return self._sources.machine.config

    async def handle(self, command: str, arguments: Arguments, progress: Progress) -> Json:
        """The result of a command. Raises CommandError with a text for the client."""
        if command not in self._commands:
            raise CommandError(f"unknown command; there are {', '.join(sorted(self._commands))}")
        return await self._commands[command](checked(command, arguments), progress)

    async def _list_sas(self, arguments: Arguments, _: Progress) -> Json:
        ike, ike_id = _text(arguments, "ike"), _number(arguments, "ike_id")
        check_names(self._config, ike, None)
        return status.sas(take(self._sources, {Section.IKE_SAS}, connection=ike, ike_id=ike_id))

    async def _list_conns(self, _: Arguments, __: Progress) -> Json:
        return status.connections(take(self._sources, {Section.CONNECTIONS}))

    async def _drop_counters(self, _: Arguments, __: Progress) -> Json:
        return status.drop_counters(take(self._sources, {Section.WORKERS, Section.COUNTERS}))

    async def _reload(self, _: Arguments, __: Progress) -> Json:
        """Read the configuration again; what that changes, in words."""
        try:
            return str(await self._desired.reload("command"))
        except (ConfigError, LocalMisuse) as error:
            raise CommandError(str(error)) from None

    async def _initiate(self, arguments: Arguments, progress: Progress) -> Json:
        connection, child = find_child(self._config, _text(arguments, "ike"), _text(arguments, "child"))
        ticket = self._runner.waiting.ticket()
        command = Initiate(connection, child, ticket)
        return await self._wait(command, ticket, connection, arguments.get("timeout"), progress)

    async def _terminate(self, arguments: Arguments, progress: Progress) -> Json:
        criteria, ticket = _criteria(self._config, arguments), self._runner.waiting.ticket()
        command = Terminate(**criteria, force=arguments.get("force") is True, ticket=ticket)
        return await self._wait(command, ticket, criteria["ike"], arguments.get("timeout"), progress)

    async def _rekey(self, arguments: Arguments, progress: Progress) -> Json:
        criteria, ticket = _criteria(self._config, arguments), self._runner.waiting.ticket()
        command = Rekey(**criteria, reauth=arguments.get("reauth") is True, ticket=ticket)
        return await self._wait(command, ticket, criteria["ike"], arguments.get("timeout"), progress)

    async def _wait(
        self, command: Command, ticket: int, connection: str | None, limit: Json, progress: Progress
    ) -> Json:
        """Give the command to the machine, wait for its outcome, and relay log lines meanwhile."""
        outcome = self._runner.waiting.expect(ticket)
        lines = self._runner.bus.subscribe(Log, connection=connection)
        telling = asyncio.create_task(_relay(lines, progress))
        seconds = float(limit) if isinstance(limit, NUMBER) else None
        try:
            self._runner.request(command)
            done = await asyncio.wait_for(outcome, seconds)
        except TimeoutError:
            raise CommandError(f"not done within {seconds:g} s; the daemon goes on with it") from None
        finally:
            self._runner.waiting.forget(ticket)
            lines.close()
            await telling
        if not done.ok:
            raise CommandError(done.text)
        return done.text


async def _relay(lines: Subscription, progress: Progress) -> None:
    """Send a client the log lines of its connection, until the subscription is closed."""
    async for line in lines:
        match line:
            case Log(level=level, subject=subject, text=text) if level is not Level.DEBUG:
                progress(f"{subject}: {text}")
            case Missed(count):
                progress(f"{count} lines are left out")
            case _:
                pass


def checked(command: str, arguments: Arguments) -> Arguments:
    """The arguments without those that are null. Raises CommandError for an unknown or ill-typed one."""
    allowed = ARGUMENTS[command]
    given: Arguments = {key: value for key, value in arguments.items() if value is not None}
    for key, value in given.items():
        if key not in allowed:
            known = ", ".join(allowed) or "none"
            raise CommandError(f"{command} has no argument {key[:40]!r}; it takes {known}")
        if not isinstance(value, allowed[key]) or (isinstance(value, bool) and bool not in allowed[key]):
            names = " or ".join(one.__name__ for one in allowed[key])
            raise CommandError(f"{command}: {key} must be {names}")
        if key == "timeout" and isinstance(value, NUMBER) and not 0 < value <= LONGEST:
            raise CommandError(f"{command}: timeout must be more than 0 and at most {LONGEST} seconds")
    return given


def _criteria(config: Config, arguments: Arguments) -> Criteria:
    """What the SAs are to match. Raises CommandError if nothing is given, or a name is not configured."""
    if all(arguments.get(key) is None for key in _CRITERIA):
        raise CommandError("one of ike, child, ike_id and child_id is needed")
    ike, child = _text(arguments, "ike"), _text(arguments, "child")
    check_names(config, ike, child)
    ike_id, child_id = _number(arguments, "ike_id"), _number(arguments, "child_id")
    return {"ike": ike, "child": child, "ike_id": ike_id, "child_id": child_id}


def _text(arguments: Arguments, key: str) -> str | None:
    value = arguments.get(key)
    return value if isinstance(value, str) else None


def _number(arguments: Arguments, key: str) -> int | None:
    value = arguments.get(key)
    return value if isinstance(value, int) else None
