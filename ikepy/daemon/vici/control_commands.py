"""VICI's commands that change something: initiate, terminate, rekey, redirect, install, uninstall,
reload-settings.

Criteria, options, answers and texts are charon's: a command that waits sends its connection's log lines as
`control-log` events meanwhile; `timeout` is in milliseconds, 0 waits for ever, -1 not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ikepy.config.difference import ConfigDifference
from ikepy.config.layers import Layers
from ikepy.config.model import Child, Config, Connection
from ikepy.daemon.bus.event_bus import Missed, Subscription
from ikepy.daemon.control.names import UnknownNameError, find_child
from ikepy.daemon.control.snapshot import IkeSaState, Section
from ikepy.daemon.control.take_snapshot import Sources, take
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.vici import arguments, redirect
from ikepy.daemon.vici.log_lines import DEFAULT_LEVEL, left_out, level_of, log_line
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure
from ikepy.errors import ConfigError, LocalMisuse
from ikepy.sa.api.commands import Command, Initiate, RedirectClients, Rekey, Terminate
from ikepy.sa.api.effects import Log, Outcome
from ikepy.sa.api.snapshot import Waiting

CONTROL_LOG = "control-log"
AT_ONCE = -1  # a timeout: don't wait
SUCCESS: list[tuple[str, str]] = [("success", "yes")]
GONE_CHILDREN = frozenset({"REKEYED", "DELETED"})  # they only take late packets
OUTCOMES = "ikepy-outcomes"
MOST_TOLD = 1000  # outcomes in an answer, which one packet has to hold
CRITERIA = ("child", "ike", "child-id", "ike-id")


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which SAs are meant: those that match each that is not None. With a child's, children; else IKE_SAs."""

    child: str | None
    ike: str | None
    child_id: int | None
    ike_id: int | None

    @classmethod
    def of(cls, given: Decoded, what: str) -> Criteria:
        criteria = cls(
            arguments.text(given, "child"),
            arguments.text(given, "ike"),
            arguments.number(given, "child-id") or None,
            arguments.number(given, "ike-id") or None,
        )
        if criteria == cls(None, None, None, None):
            raise ViciError(f"missing {what} selector")
        return criteria

    def matches(self, states: tuple[IkeSaState, ...]) -> list[str]:
        """The connections of the SAs that match, one for each of them."""
        return [
            state.sa.connection
            for state in states
            if self.ike in (None, state.sa.connection) and self.ike_id in (None, state.sa.ike_id)
            for _ in (self._children(state) if self._of_children else (state,))
        ]

    @property
    def _of_children(self) -> bool:
        return self.child is not None or self.child_id is not None

    def _children(self, state: IkeSaState) -> list[object]:
        return [
            child
            for child in state.sa.children
            if child.state not in GONE_CHILDREN
            and self.child in (None, child.name)
            and self.child_id in (None, child.child_id)
        ]


class ControlCommands:
    """Executes them."""

    def __init__(self, sources: Sources, runner: EffectsRunner, desired: DesiredConfig) -> None:
        self._sources = sources
        self._runner = runner
        self._desired = desired

    @property
    def _config(self) -> Config:
        return self._sources.machine.config

    async def initiate(self, given: Decoded, stream: Stream) -> Pairs:
        """Bring up a child; `init-limits` has no meaning here: limits hold for peers, not for operators."""
        arguments.unknown(given, ("child", "ike", "timeout", "init-limits", "loglevel"))
        child, ike = arguments.text(given, "child"), arguments.text(given, "ike")
        if child is None and ike is None:
            raise ViciError("missing configuration name")
        name = f"IKE_SA '{ike}'" if child is None else f"CHILD_SA '{child}'"
        try:
            connection, found = find_child(self._config, ike, child)
        except UnknownNameError as error:
            raise ViciError(f"{name.replace(' ', ' config ', 1)} not found: {error}") from None
        ticket = self._runner.waiting.ticket()
        timeout = _timeout(given)
        outcome = await self._wait(Initiate(connection, found, ticket), connection, timeout, given, stream)
        if outcome is None and timeout != AT_ONCE:
            return failure(f"{name} not established after {timeout}ms; the daemon goes on with it")
        if outcome is not None and not outcome.ok:
            return failure(f"establishing {name} failed: {outcome.text}")
        return SUCCESS

    async def terminate(self, given: Decoded, stream: Stream) -> Pairs:
        """Delete SAs at the peer."""
        arguments.unknown(given, (*CRITERIA, "force", "timeout", "loglevel"))
        criteria, force = Criteria.of(given, "terminate"), arguments.boolean(given, "force")
        matches, connection = self._matching(criteria)
        ticket = self._runner.waiting.ticket()
        command = Terminate(
            criteria.ike, criteria.child, criteria.ike_id, criteria.child_id, force, ticket=ticket
        )
        timeout = _timeout(given)
        outcome = await self._wait(command, connection, timeout, given, stream)
        if outcome is None and timeout != AT_ONCE:
            why = f"not terminated after {timeout}ms; the daemon goes on with it"
            return _counted(why, matches, terminated=0)
        if outcome is not None and not outcome.ok:
            why = (
                f"terminating SA failed: {outcome.text}" if matches else "no matching SAs to terminate found"
            )
            return _counted(why, matches, terminated=_succeeded(outcome), outcome=outcome)
        return _counted(None, matches, terminated=matches, outcome=outcome)

    async def rekey(self, given: Decoded, stream: Stream) -> Pairs:
        """Replace SAs. As charon's, it does not wait, unless (which charon does not have) there is a
        `timeout`."""
        arguments.unknown(given, (*CRITERIA, "reauth", "timeout", "loglevel"))
        criteria, reauth = Criteria.of(given, "rekey"), arguments.boolean(given, "reauth")
        matches, connection = self._matching(criteria)
        if not matches:
            return _counted("no matching SAs to rekey found", matches)
        ticket = self._runner.waiting.ticket()
        command = Rekey(criteria.ike, criteria.child, criteria.ike_id, criteria.child_id, reauth, ticket)
        timeout = _timeout(given) if "timeout" in given else AT_ONCE
        outcome = await self._wait(command, connection, timeout, given, stream)
        if outcome is None and timeout != AT_ONCE:
            return _counted(f"not rekeyed after {timeout}ms; the daemon goes on with it", matches)
        if outcome is not None and not outcome.ok:
            return _counted(f"rekeying SA failed: {outcome.text}", matches, outcome=outcome)
        return _counted(None, matches, outcome=outcome)

    def _matching(self, criteria: Criteria) -> tuple[int, str | None]:
        """How many SAs match, and their connection if it is one: whose log lines are shown."""
        connections = criteria.matches(take(self._sources, {Section.IKE_SAS}).ike_sas)
        return len(connections), connections[0] if len(set(connections)) == 1 else None

    async def _wait(
        self, command: Command, connection: str | None, patience: int, given: Decoded, stream: Stream
    ) -> Outcome | None:
        """Give the machine a command; its outcome, None if it does not come in `patience` (ms)."""
        level = -1 if patience == AT_ONCE else arguments.number(given, "loglevel")  # at once: without a line
        assert isinstance(command, Initiate | Terminate | Rekey | RedirectClients)
        outcome = self._runner.waiting.expect(command.ticket)
        lines = self._runner.bus.subscribe(Log, connection=connection)
        relay = _relay(lines, stream, DEFAULT_LEVEL if level is None else level)
        telling = asyncio.create_task(relay)
        try:
            self._runner.request(command)
            if patience == AT_ONCE:
                return outcome.result() if outcome.done() else None
            return await asyncio.wait_for(outcome, patience / 1000 if patience else None)
        except TimeoutError:
            return None
        finally:
            self._runner.waiting.forget(command.ticket)
            lines.close()
            await telling

    # -- the configuration -------------------------------------------------------------------------

    async def install(self, given: Decoded, _: Stream) -> Pairs:
        """Let a packet without an SA bring up a child: its `start_action` is "trap" from now on."""
        connection, child = self._child_of(given, "configuration name not found")
        if child.start_action == "start":
            why = "it is kept up (start_action = start) and needs none"
            return failure(f"installing policy '{child.name}' failed: {why}")
        return await self._change(connection, child.name, Layers.with_trap)

    async def uninstall(self, given: Decoded, _: Stream) -> Pairs:
        """Take that back, and every other trap of the child: it comes up by command only, or when the peer
        begins. Also its `close_action` and `dpd_action` are "none" from now on where they are "trap"."""
        word = arguments.text(given, "child")
        connection, child = self._child_of(given, f"policy '{word}' not found")
        if all(child is not trap for _, trap in traps(self._sources)):
            return failure(f"policy '{word}' not found")
        return await self._change(connection, child.name, Layers.without_trap)

    def _child_of(self, given: Decoded, otherwise: str) -> tuple[str, Child]:
        """Raises ViciError with `otherwise` for a child that is not configured."""
        arguments.unknown(given, ("child", "ike"))
        child, ike = arguments.text(given, "child"), arguments.text(given, "ike")
        if child is None:
            raise ViciError("missing configuration name")
        try:
            connection, name = find_child(self._config, ike, child)
        except UnknownNameError as error:
            raise ViciError(f"{otherwise}: {error}") from None
        return connection, self._config.connections[connection].children[name]

    async def _change(
        self, connection: str, child: str, changed: Callable[[Layers, str, str], Layers]
    ) -> Pairs:
        def edit(layers: Layers) -> Layers:
            try:
                return changed(layers, connection, child)
            except KeyError:  # while this one waited for its turn
                raise ViciError(f"{connection} has no child {child} any more") from None

        return await outcome(self._desired.change(edit))

    async def reload_settings(self, given: Decoded, _: Stream) -> Pairs:
        """Read [daemon] of the configuration file again, as charon does strongswan.conf: connections stay."""
        arguments.unknown(given, ())
        return await outcome(self._desired.reload_settings())

    async def reload(self, given: Decoded, _: Stream) -> Pairs:
        """Read the configuration file again: a command of ikepy's own. `changed` says what that changes."""
        arguments.unknown(given, ())
        return await outcome(self._desired.reload("command"), tell=True)

    async def redirect(self, given: Decoded, stream: Stream) -> Pairs:
        """Send clients to another gateway (RFC 5685 5). As charon's, it does not wait for them."""
        arguments.unknown(given, redirect.ARGUMENTS)
        gateway = redirect.gateway(given)
        meant = redirect.clients(given, take(self._sources, {Section.IKE_SAS}).ike_sas)
        if not meant:
            return _counted("no matching SAs to redirect found", 0)
        ids = tuple(state.sa.ike_id for state in meant)
        command = RedirectClients(ids, gateway, self._runner.waiting.ticket())
        outcome = await self._wait(command, None, AT_ONCE, given, stream)
        if outcome is not None and not outcome.ok:
            return _counted(f"redirecting SA failed: {outcome.text}", len(meant), outcome=outcome)
        return _counted(None, len(meant), outcome=outcome)


def traps(sources: Sources) -> list[tuple[Connection, Child]]:
    """The children that a packet brings up: as they are configured, or as they wait for one."""
    waits = {
        (wait.connection, wait.child)
        for wait in sources.machine.list_waits()
        if wait.waiting is Waiting.PACKET
    }
    return [
        (connection, child)
        for connection in sources.machine.config.connections.values()
        for child in connection.children.values()
        if child.start_action == "trap" or (connection.name, child.name) in waits
    ]


async def outcome(changing: Awaitable[ConfigDifference], *, tell: bool = False) -> Pairs:
    """The answer to a change of the configuration. `tell`: with what it changes."""
    try:
        change = await changing
    except (ConfigError, LocalMisuse) as error:
        return failure(str(error))
    return [*SUCCESS, ("changed", str(change))] if tell else SUCCESS


def _timeout(given: Decoded) -> int:
    """Milliseconds; 0: without limit."""
    return arguments.number(given, "timeout") or 0


def _succeeded(outcome: Outcome) -> int:
    """At how many of its targets a command that failed has succeeded."""
    return sum(one.ok for one in outcome.targets)


def _counted(
    error: str | None, matches: int, terminated: int | None = None, outcome: Outcome | None = None
) -> Pairs:
    """The answer, with what came of it at each of several SAs (`ikepy-outcomes`)."""
    pairs: list[tuple[str, Value]] = [("success", "yes" if error is None else "no"), ("matches", matches)]
    if terminated is not None:
        pairs.append(("terminated", terminated))
    if outcome is not None and outcome.targets:
        each = [
            f"{one.target}{'' if one.ok else ' failed'}: {one.text}" for one in outcome.targets[:MOST_TOLD]
        ]
        pairs.append((OUTCOMES, each))
    return [*pairs, *([] if error is None else [("errmsg", error)])]


async def _relay(lines: Subscription, stream: Stream, most: int) -> None:
    """Send a client the log lines up to charon's level `most`, until the subscription is closed."""
    async for line in lines:
        match line:
            case Log():
                if level_of(line) <= most:
                    stream.mention(CONTROL_LOG, log_line(line).items())
            case Missed(count):
                stream.mention(CONTROL_LOG, left_out(count).items())
            case _:
                pass
