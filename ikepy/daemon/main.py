"""`ikepy run`: sets up the log, and runs the daemon in the foreground."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.errors import RunError, StartError
from ikepy.daemon.interfaces import Facts
from ikepy.daemon.process import garbage
from ikepy.daemon.process.capabilities import gain_nothing, keep_memory_private
from ikepy.daemon.process.launcher import IMPAIRMENTS
from ikepy.daemon.service import ConfigFile, Daemon, Dependencies
from ikepy.daemon.supervision import supervise
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.manager import IkeManager
from tun import network
from tun.device import TunDevice
from tun.watch import Watch

REMARKS = 20  # log lines with warnings at the start, at most
SWITCH = 0.0005  # seconds that a thread may keep the event loop waiting for the GIL; Python's default: 0.005


def run(
    config: Config,
    path: Path,
    socket: Path | None = None,
    remarks: Sequence[tuple[str, str]] = (),
    file: ConfigFile | None = None,
    *,
    watch: bool = False,
    impairments: Sequence[str] = (),
) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status. `path`: of the configuration, for messages.

    `socket`: the control socket, instead of the configuration's. `remarks`: warnings on the configuration, as
    (key path, text), which are logged. `file`: where the configuration is, for reloads; None: in no file.
    `watch`: reload when a file changes. `impairments`: what it is to do wrong beside what `config` asks for.
    """
    gain_nothing()
    keep_memory_private()
    log.set_up(config.daemon.log_level, style=config.daemon.log_format)
    log.set_levels(config.daemon.log_level, dict(config.daemon.log_levels))
    sys.unraisablehook = _tell_ignored
    sys.setswitchinterval(SWITCH)
    for key, text in remarks[:REMARKS]:
        log.warning("ikepy", f"{path}: {key}: {text}", "config")
    if len(remarks) > REMARKS:
        more = len(remarks) - REMARKS
        log.warning("ikepy", f'{path}: {more} more warnings: "ikepy check" shows them all', "config")
    control = socket if socket is not None else config.daemon.socket
    try:
        dependencies = system(machine_class(config, impairments))
        return asyncio.run(_serve(Daemon(config, control, dependencies, file, remarks, watch=watch), path))
    except StartError as error:
        log.error("ikepy", f"{path}: {error}")
        return 1
    finally:
        log.close()


def _tell_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Log an exception in a finalizer, which has no effect: an event loop that could not be created for lack
    of descriptors raises one (pyroute2 creates loops)."""
    where = getattr(ignored.object, "__qualname__", type(ignored.object).__name__)
    log.debug("python", f"ignored in {where}: {ignored.exc_type.__name__}: {ignored.exc_value}")


async def _serve(daemon: Daemon, path: Path) -> int:
    resting = supervise(partial(_spare_what_stays, daemon), "search for garbage")
    try:
        await daemon.serve()
    except StartError as error:
        log.error("ikepy", f"{path}: {error}")
        return 1
    except RunError as error:
        log.error("ikepy", str(error))
        return 1
    finally:
        resting.cancel()
        await asyncio.gather(resting, return_exceptions=True)
    return 0


async def _spare_what_stays(daemon: Daemon) -> None:
    """Once it has started: no search for garbage goes through program and configuration again."""
    await daemon.ready.wait()
    with garbage.spared():
        await garbage.tend()


def system(machine: Callable[..., IkeManager] = IkeManager) -> Dependencies:
    """The dependencies of the product: the IKE machine, TUN devices, the kernel's network."""
    return Dependencies(partial(_make_machine, machine), TunDevice.create, network, Watch)


def machine_class(config: Config, impairments: Sequence[str]) -> Callable[..., IkeManager]:
    """What makes the IKE machine: an impaired one, of which nothing is loaded otherwise, if the configuration
    permits that. Raises StartError."""
    os.environ.pop(IMPAIRMENTS, None)
    if not (impairments or config.daemon.impairments_allowed):
        return IkeManager
    from ikepy.daemon.impaired import machine_of

    return machine_of(config, impairments)


def _make_machine(
    machine: Callable[..., IkeManager], config: Config, entropy: Entropy, facts: Facts
) -> IkeManager:
    return machine(
        config,
        entropy,
        resolve=facts.resolve,
        leads_out=facts.leads_out,
        esp_heard=facts.esp_heard,
        capacity_of=facts.capacity_of,
        names=facts.names,
        restart_keys=facts.restart_keys,
        credentials=facts.credentials,
        relay=facts.relay,
        key_log=facts.key_log,
    )
