"""A whole control process on the loopback: a fake machine, fake devices, everything else real."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ikepy.config.model import Config
from ikepy.control import queries
from ikepy.control.client import Message, RefusedError, ask
from ikepy.daemon.interfaces import Facts
from ikepy.daemon.service import ConfigFile, Daemon, Dependencies
from ikepy.daemon.vici.message import Value
from ikepy.listing import Connection, IkeSa
from ikepy.sa.api.effects import Effect
from ikepy.sa.api.entropy import Entropy
from tests.unit.daemon.fakes import FakeMachine, FakeNetwork, FakeTun, FakeWatch, connection
from tun.watch import Changes

LOOPBACK = ip_address("127.0.0.1")


class Bed:
    """A daemon's surroundings; `answers` gives the machine's effects by how a call's description begins."""

    def __init__(self, control: Path, *, settings: Mapping[str, object] | None = None, **keys: Any) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.ports = one.getsockname()[1], other.getsockname()[1]
        self.answers: dict[str, list[Effect]] = {}
        self.machine = FakeMachine(self._answer)
        self.tuns: list[FakeTun] = []
        self.taken: set[str] = set()  # names that no device can have
        self.network = FakeNetwork()
        self.watches: list[FakeWatch] = []
        self.local = {"local_addrs": ["127.0.0.1"], "encap": True, "local_port": self.ports[0]}
        entry = connection("a", **{**self.local, **keys})
        daemon = {"port": self.ports[0], "port_nat_t": self.ports[1], "workers": 2, **(settings or {})}
        self.config = Config.model_validate({"connections": {"a": entry}, "daemon": daemon})
        self.control = control
        self.watch = False
        self.file: ConfigFile | None = None
        self.spi = 0
        self.entropy: Entropy | None = None
        self.facts: Facts | None = None
        self.make_daemon()

    def make_daemon(self) -> None:
        """The daemon of `config`."""
        dependencies = Dependencies(
            self._make_machine, self._create, self.network, self._make_watch, drop_capabilities=False
        )
        self.daemon = Daemon(self.config, self.control, dependencies, self.file, watch=self.watch)

    def _make_machine(self, config: Config, entropy: Entropy, facts: Facts) -> FakeMachine:
        self.entropy, self.facts = entropy, facts
        self.spi = entropy.child_spi("a")
        self.machine.config = config
        return self.machine

    def _create(self, name: str) -> FakeTun:
        if name in self.taken:
            raise OSError(16, f"cannot make {name}: a device of that name exists already")
        self.tuns.append(FakeTun(name))
        return self.tuns[-1]

    def _make_watch(self, changed: Callable[[Changes], None]) -> FakeWatch:
        self.watches.append(FakeWatch(changed))
        return self.watches[-1]

    def _answer(self, call: str) -> list[Effect]:
        return next((e for beginning, e in self.answers.items() if call.startswith(beginning)), [])

    async def ask(self, command: str, **arguments: Value) -> Message:
        """The answer of a command of VICI. RefusedError."""
        return await asyncio.to_thread(ask, self.control, command, arguments)

    async def list_sas(self, **which: Value) -> list[IkeSa]:
        return await asyncio.to_thread(queries.list_sas, self.control, which)

    async def list_conns(self) -> list[Connection]:
        return await asyncio.to_thread(queries.list_conns, self.control)

    async def drops(self) -> dict[str, dict[str, int]]:
        return await asyncio.to_thread(queries.drops, self.control)

    async def fails(self, command: str, **arguments: Value) -> str:
        """Why a command is refused."""
        try:
            answer = await self.ask(command, **arguments)
        except RefusedError as error:
            return str(error)
        raise AssertionError(answer)


def run(bed: Bed, scenario: Callable[[Bed], Awaitable[None]]) -> None:
    """Start the daemon, run the scenario, stop the daemon; nothing may be left."""

    async def inside() -> None:
        serving = asyncio.create_task(bed.daemon.serve())
        ready = asyncio.create_task(bed.daemon.ready.wait())
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            async with asyncio.timeout(20):
                await scenario(bed)
            bed.daemon.stop()
        ready.cancel()
        await serving

    asyncio.run(inside())
    assert not bed.control.exists()
    assert all(tun.closed for tun in bed.tuns)
    assert all(watch.closed for watch in bed.watches)
    for port in bed.ports:
        with socket.socket(type=socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port))
