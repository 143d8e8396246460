"""The private keys that a configuration names, for the signer."""

from __future__ import annotations

import asyncio

from ikepy.config.credentials import private_keys
from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.signer.signer import KeyFile, Signer, Source, TokenKey


def sources(config: Config) -> list[Source]:
    """Where they are."""
    found: list[Source] = [
        KeyFile(f"secrets.{name}", one.path, private_keys.kind_of(name) or "private", one.password)
        for name, one in config.private_keys.items()
    ]
    found += [
        TokenKey(f"secrets.{name}", str(one.module), one.slot, one.handle, one.pin)
        for name, one in config.tokens.items()
    ]
    return found


START = 5.0  # seconds that a start waits for keys


async def load_at_start(signer: Signer, config: Config, patience: float = START) -> None:
    """As `load`, in a thread, for which a few seconds are waited: a token that hangs holds up no start.

    The thread goes on until all is loaded, or the signer is closed.
    """
    task = asyncio.create_task(asyncio.to_thread(load, signer, config))
    await asyncio.wait({task}, timeout=patience)
    if task.done():
        task.result()
    else:
        log.warning(
            "signer", "private keys are still being loaded: the daemon goes on without them", "config"
        )


def load(signer: Signer, config: Config) -> None:
    """Have the signer use them, and no others of a configuration. It waits: files and tokens are read.

    What can't be loaded is logged, and the daemon goes on without it, as charon does.
    """
    for name, why in signer.configure(sources(config)):
        log.error("signer", f"{name}: the private key is not loaded: {why}", "config")
