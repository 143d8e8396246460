"""`python -m tests.netns.reloading_daemon CONFIG SOCKET`: a daemon that reads its file again at SIGHUP."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from ikepy.config.toml_source import load
from ikepy.daemon import log
from ikepy.daemon.main import system
from ikepy.daemon.service import Daemon
from ikepy.errors import ConfigError


async def serve(path: Path, control: Path) -> None:
    daemon = Daemon(load(path), control, system())
    tasks: list[asyncio.Task[None]] = []

    async def reload() -> None:
        try:
            await daemon.replace_config(load(path), str(path))
            log.info("test", "reloaded")
        except ConfigError as error:
            log.error("test", f"not reloaded: {error}")

    def hung_up() -> None:
        tasks.append(asyncio.create_task(reload()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)
    await daemon.serve()


if __name__ == "__main__":
    log.set_up("info")
    try:
        asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
    finally:
        log.close()
