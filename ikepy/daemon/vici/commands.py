"""VICI's commands by name, and those that only tell something (strongSwan's vici/README.md, "Client-initiated
commands").

A list comes as one event an item, for a client that registered for it; the answer ends it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable

from ikepy import __version__
from ikepy.daemon.control.names import UnknownNameError, check_names
from ikepy.daemon.control.snapshot import EVERYTHING, Section, Snapshot
from ikepy.daemon.control.take_snapshot import Sources, take
from ikepy.daemon.diagnosis.diagnose import SECTIONS, diagnose
from ikepy.daemon.diagnosis.history import History
from ikepy.daemon.vici import arguments, our_keys
from ikepy.daemon.vici.algorithms import all_algorithms
from ikepy.daemon.vici.control_commands import SUCCESS, ControlCommands, traps
from ikepy.daemon.vici.exchange_counters import ExchangeCounters
from ikepy.daemon.vici.loading import Loading
from ikepy.daemon.vici.log_levels import log_levels
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.sections import Reqids, list_conn, list_policy, list_sa
from ikepy.daemon.vici.status_sections import STATUS, status_events
from ikepy.daemon.vici.vici_client import Stream, failure

Command = Callable[[Decoded, Stream], Awaitable[Pairs]]
PARTS = ("ikev2", "psk", "esp", "tun", "counters", "vici")  # where charon names its plugins
OURS = "ikepy"  # the argument that asks for the keys that strongSwan does not have
HALF_OPEN = frozenset({"CREATED", "CONNECTING"})
MOST_CHECK = 600.0  # seconds that a check of the path MTU is waited for, at most
PRIORITIES = ("critical", "high", "medium", "low")


class ViciCommands:
    """Executes the commands of all clients."""

    def __init__(
        self,
        sources: Sources,
        control: ControlCommands,
        loading: Loading,
        counters: ExchangeCounters,
        reqids: Reqids,
        history: History,
    ) -> None:
        self._sources = sources
        self._history = history
        self._counters = counters
        self._reqids = reqids
        self._commands: dict[str, Command] = {
            "version": self._version,
            "stats": self._stats,
            "reload-settings": control.reload_settings,
            "reload": control.reload,
            "log-levels": log_levels,
            "initiate": control.initiate,
            "terminate": control.terminate,
            "rekey": control.rekey,
            "redirect": control.redirect,
            "install": control.install,
            "uninstall": control.uninstall,
            "list-sas": self._list_sas,
            "status": self._status,
            "list-policies": self._list_policies,
            "list-conns": self._list_conns,
            **loading.commands,
            "get-algorithms": self._get_algorithms,
            "get-counters": self._get_counters,
            "reset-counters": self._reset_counters,
            "get-drops": self._get_drops,
            "get-probes": self._get_probes,
        }

    @property
    def names(self) -> frozenset[str]:
        """All commands."""
        return frozenset(self._commands)

    def knows(self, command: str) -> bool:
        return command in self._commands

    async def execute(self, command: str, given: Decoded, stream: Stream) -> Pairs:
        """The answer of a command that `knows` knows. Raises ViciError with a text for the client."""
        return await self._commands[command](given, stream)

    async def _version(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ())
        system = os.uname()
        return [
            ("daemon", "ikepy"),
            ("version", __version__),
            ("sysname", system.sysname),
            ("release", system.release),
            ("machine", system.machine),
        ]

    async def _stats(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ())
        return _statistics(take(self._sources, EVERYTHING)).items()

    async def _list_sas(self, given: Decoded, stream: Stream) -> Pairs:
        arguments.unknown(given, ("noblock", "ike", "ike-id", "child", "child-id", OURS))
        ike, ike_id = arguments.text(given, "ike"), arguments.number(given, "ike-id")
        child, child_id = arguments.text(given, "child"), arguments.number(given, "child-id")
        ours = arguments.boolean(given, OURS)
        if not stream.wants("list-sa"):
            return []
        snapshot = take(self._sources, {Section.IKE_SAS}, connection=ike, ike_id=ike_id or None)
        if ours and not snapshot.ike_sas:
            self._check_names(ike, child)
        for state in snapshot.ike_sas:
            shown = state.of_children(child, child_id or None)
            if (child or child_id) and not shown.children:
                continue
            for pairs in list_sa(shown, self._reqids, snapshot.at, ours=ours):
                await stream.send("list-sa", pairs)
        return []

    def _check_names(self, ike: str | None, child: str | None) -> None:
        try:
            check_names(self._sources.machine.config, ike, child)
        except UnknownNameError as error:
            raise ViciError(str(error)) from None

    async def _status(self, given: Decoded, stream: Stream) -> Pairs:
        """ikepy's own: what each tunnel waits for, why, and what to do."""
        arguments.unknown(given, ("ike",))
        ike = arguments.text(given, "ike")
        self._check_names(ike, None)
        if stream.wants(STATUS):
            for section in status_events(diagnose(take(self._sources, SECTIONS), self._history, ike)):
                await stream.send(STATUS, section.items())
        return []

    async def _list_conns(self, given: Decoded, stream: Stream) -> Pairs:
        arguments.unknown(given, ("ike", OURS))
        ike, ours = arguments.text(given, "ike"), arguments.boolean(given, OURS)
        for connection in tuple(self._sources.machine.config.connections.values()):
            if ike in (None, connection.name):
                await stream.send("list-conn", [(connection.name, list_conn(connection, ours=ours))])
        return []

    async def _list_policies(self, given: Decoded, stream: Stream) -> Pairs:
        """The traps: those that are configured or installed, and those of a child that waits for a packet."""
        arguments.unknown(given, ("drop", "pass", "trap", "child", "ike"))
        name, ike = arguments.text(given, "child"), arguments.text(given, "ike")
        if arguments.text(given, "trap") is None:
            return []
        for connection, child in traps(self._sources):
            if ike in (None, connection.name) and name in (None, child.name):
                section = list_policy(connection, child)
                await stream.send("list-policy", [(f"{connection.name}/{child.name}", section)])
        return []

    async def _get_algorithms(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ())
        return all_algorithms().items()

    async def _get_counters(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("name", "all"))
        if arguments.boolean(given, "all"):
            found: dict[str, Value] = {
                name: self._counters.get(name) or {} for name in self._counters.connections
            }
            return [("counters", found), *SUCCESS]
        name = arguments.text(given, "name")
        counted = self._counters.get(name)
        if counted is None:
            return [("counters", {}), *failure("no counters found for this connection")]
        return [("counters", {name or "": counted}), *SUCCESS]

    async def _reset_counters(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("name", "all"))
        self._counters.reset(arguments.text(given, "name"), every=arguments.boolean(given, "all"))
        return SUCCESS

    async def _get_drops(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ())
        return our_keys.drops(take(self._sources, {Section.WORKERS, Section.COUNTERS})).items()

    async def _get_probes(self, given: Decoded, _: Stream) -> Pairs:
        """ikepy's own. `check-mtu`: look for the path MTU first, for at most `timeout` (ms)."""
        arguments.unknown(given, ("ike", "check-mtu", "timeout"))
        ike, patience = arguments.text(given, "ike"), arguments.number(given, "timeout") or 0
        self._check_names(ike, None)
        found = None
        if arguments.boolean(given, "check-mtu") and self._sources.check_mtu is not None:
            seconds = patience / 1000 if 0 < patience < MOST_CHECK * 1000 else MOST_CHECK
            found = await self._sources.check_mtu(ike, seconds)
        return our_keys.probes(take(self._sources, {Section.PROBES}), ike, found).items()


def _statistics(snapshot: Snapshot) -> dict[str, Value]:
    """charon's words. Workers are the processes that carry ESP: idle without a device, active with one."""
    active = sum(bool(worker.devices) for worker in snapshot.workers)
    started = snapshot.daemon.started_at
    waits = [wait for connection in snapshot.connections for wait in connection.children]
    queued = sum(len(state.sa.tasks_queued) for state in snapshot.ike_sas)
    return {
        "uptime": {
            "running": _duration(int(snapshot.daemon.running)),
            "since": time.strftime("%b %d %H:%M:%S %Y", time.localtime(started)),
        },
        "workers": {
            "total": len(snapshot.workers),
            "idle": len(snapshot.workers) - active,
            "active": {name: active if name == "medium" else 0 for name in PRIORITIES},
        },
        "queues": {name: queued if name == "medium" else 0 for name in PRIORITIES},
        "scheduled": sum(wait.until is not None for wait in waits),
        "ikesas": {
            "total": len(snapshot.ike_sas),
            "half-open": sum(state.sa.state in HALF_OPEN for state in snapshot.ike_sas),
        },
        "plugins": PARTS,
    }


def _duration(seconds: int) -> str:
    """As charon's %V: the largest unit of which there are more than two."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds > 2 * length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} second{'' if seconds == 1 else 's'}"
