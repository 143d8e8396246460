"""`ikepy run`: sets up the log, and runs the daemon in the foreground."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.errors import RunError, StartError
from ikepy.daemon.interfaces import Facts
from ikepy.daemon.process.capabilities import gain_nothing, keep_memory_private
from ikepy.daemon.service import ConfigFile, Daemon, Dependencies
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.manager import IkeManager
from tun import network
from tun.device import TunDevice
from tun.watch import Watch

REMARKS = 20  # log lines with warnings at the start, at most


def run(
    config: Config,
    path: Path,
    socket: Path | None = None,
    remarks: Sequence[tuple[str, str]] = (),
    file: ConfigFile | None = None,
    *,
    watch: bool = False,
) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status. `path`: of the configuration, for messages.

    `socket`: the control socket, instead of the configuration's. `remarks`: warnings on the configuration, as
    (key path, text), which are logged. `file`: where the configuration is, for reloads; None: in no file.
    `watch`: reload when a file changes.
    """
    gain_nothing()
    keep_memory_private()
    log.set_up(config.daemon.log_level, style=config.daemon.log_format)
    log.set_levels(config.daemon.log_level, dict(config.daemon.log_levels))
    sys.unraisablehook = _tell_ignored
    for key, text in remarks[:REMARKS]:
        log.warning("ikepy", f"{path}: {key}: {text}", "config")
    if len(remarks) > REMARKS:
        more = len(remarks) - REMARKS
        log.warning("ikepy", f'{path}: {more} more warnings: "ikepy check" shows them all', "config")
    control = socket if socket is not None else config.daemon.socket
    try:
        return asyncio.run(_serve(Daemon(config, control, system(), file, remarks, watch=watch), path))
    finally:
        log.close()


def _tell_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Log an exception in a finalizer, which has no effect: an event loop that could not be created for lack
    of descriptors raises one (pyroute2 creates loops)."""
    where = getattr(ignored.object, "__qualname__", type(ignored.object).__name__)
    log.debug("python", f"ignored in {where}: {ignored.exc_type.__name__}: {ignored.exc_value}")


async def _serve(daemon: Daemon, path: Path) -> int:
    try:
        await daemon.serve()
    except StartError as error:
        log.error("ikepy", f"{path}: {error}")
        return 1
    except RunError as error:
        log.error("ikepy", str(error))
        return 1
    return 0


def system() -> Dependencies:
    """The dependencies of the product: the IKE machine, TUN devices, the kernel's network."""
    return Dependencies(_make_machine, TunDevice.create, network, Watch)


def _make_machine(config: Config, entropy: Entropy, facts: Facts) -> IkeManager:
    return IkeManager(
        config,
        entropy,
        resolve=facts.resolve,
        leads_out=facts.leads_out,
        esp_heard=facts.esp_heard,
        capacity_of=facts.capacity_of,
        names=facts.names,
    )
