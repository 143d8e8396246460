"""Holds the desired configuration as layers, and has the daemon use what they make together.

Changes come from a reload of the file and from VICI's clients. They are served one after the other, each on
top of what the last one made; one that is refused leaves layers and daemon as they were.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from ikepy.config.difference import ConfigDifference
from ikepy.config.layers import Layers
from ikepy.config.model import Config
from ikepy.config.toml_source import Reading
from ikepy.crypto.secret import Secret
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded, ConfigReloading, DaemonEvent
from ikepy.daemon.in_thread import in_thread
from ikepy.daemon.to_the_end import to_the_end
from ikepy.errors import ConfigError, LocalMisuse

SUBJECT = "configuration"
VICI = "VICI"  # what an error and the log call its layer
NO_FILE = (
    "the configuration is in no file (ikepy run --env): there is nothing to read again; "
    "start the daemon anew for other variables"
)
EMPTY = (
    "says nothing any more, as after a full disk or a write that was cut off; to end all of its connections, "
    "leave an empty section in it, such as [daemon]"
)
FAULT = "it failed by a fault of the daemon's own, which stands below: please report it"
REMARKS = 20  # warnings on a file that is read again, at most

Apply = Callable[[Config, str], Awaitable[ConfigDifference]]
Edit = Callable[[Layers], Layers]


class ConfigSource(Protocol):
    """Where the configuration is read: `ikepy.config.sources.config_file.ConfigFile`."""

    @property
    def name(self) -> str:
        """What errors and the log call it."""

    def read(self) -> Reading:
        """As it is now; called in a thread. Raises ConfigError."""


class DesiredConfig:
    """The layers, and the one way to change them.

    `apply`: makes the daemon use a configuration, which it checks before; raises ConfigError with nothing
    changed. `file`: None if the configuration is in no file. `publish`: is told of reloads.
    `remarks`: warnings on the file that are in the log already.
    """

    def __init__(
        self,
        config: Config,
        apply: Apply,
        file: ConfigSource | None = None,
        publish: Callable[[DaemonEvent], None] = lambda _: None,
        remarks: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._layers = Layers(config)
        self._apply = apply
        self._file = file
        self._remarks: frozenset[tuple[str, str]] = frozenset(remarks)  # that are in the log
        self._publish = publish
        self._busy = asyncio.Lock()
        self._next_reload: asyncio.Task[ConfigDifference] | None = None  # that has not begun to read

    @property
    def layers(self) -> Layers:
        """The layers in use. Base no change on them but in an `edit` of `change`: others may be under way."""
        return self._layers

    async def change(self, edit: Edit, source: str = VICI, *, wipe: bool = True) -> ConfigDifference:
        """Use what `edit` makes of the layers; what it raises is raised here. Returns the difference.

        `wipe`: the secrets that this leaves out, of which nobody else has any use. Raises ConfigError, with
        nothing changed: `source` is its name there; LocalMisuse if the daemon does not run.
        """
        async with self._busy:
            # Who asked may leave meanwhile: what the daemon uses then, the layers must have.
            return await to_the_end(self._change(edit, source, wipe=wipe))

    async def _change(self, edit: Edit, source: str, *, wipe: bool) -> ConfigDifference:
        before = self._layers
        change = await self._use(edit(before), source)
        if wipe:
            _wipe(before, self._layers)
        return change

    async def reload(self, cause: str) -> ConfigDifference:
        """Read the file again and use it. `cause`: who asks for it, for the log.

        Whoever asks while another reload waits for its turn gets the result of that one, as it reads the file
        later. Raises ConfigError, with nothing changed, and also if there is no file.
        """
        if self._next_reload is None:
            self._next_reload = asyncio.create_task(self._reload(cause))
            self._next_reload.add_done_callback(_noticed)
        return await asyncio.shield(self._next_reload)

    async def reload_settings(self) -> ConfigDifference:
        """Read [daemon] of the file again: connections and secrets stay. Raises as `reload` does."""
        async with self._busy:
            _, reading = await self._read()
            file = self._layers.file.model_copy(update={"daemon": reading.config.daemon})
            change = await to_the_end(self._use(self._layers.with_file(file), "[daemon]"))
            self._reset_levels()
            return change

    async def _reload(self, cause: str) -> ConfigDifference:
        async with self._busy:
            self._next_reload = None
            self._publish(ConfigReloading(cause))
            before = self._layers
            try:
                file, reading = await self._read()
                if reading.empty and self._layers.file.connections:
                    raise ConfigError(file.name, [("", EMPTY)])
                change = await self._use(before.with_file(reading.config), file.name, reading.places)
            except ConfigError as error:
                self._publish(ConfigRefused(cause, tuple(str(error).splitlines())))
                raise
            except LocalMisuse as error:  # it ends, or has not begun
                self._publish(ConfigRefused(cause, (str(error),)))
                raise
            except Exception as error:  # a fault of ours: whoever waits for the reload's end hears of it
                self._publish(ConfigRefused(cause, (f"{FAULT}: {type(error).__name__}",)))
                raise
            _wipe(before, self._layers)
            self._reset_levels()
            self._tell_remarks(file.name, reading)
            self._publish(ConfigReloaded(cause))
            return change

    def _reset_levels(self) -> None:
        """What the command `log-levels` has set holds until a reload, and over changes by VICI."""
        settings = self._layers.file.daemon
        log.set_levels(settings.log_level, dict(settings.log_levels))

    async def _read(self) -> tuple[ConfigSource, Reading]:
        if self._file is None:
            raise ConfigError("", [("", NO_FILE)])
        try:
            return self._file, await in_thread(self._file.read)
        except OSError as error:  # no thread
            raise ConfigError(self._file.name, [("", error.strerror or str(error))]) from error

    def _tell_remarks(self, name: str, reading: Reading) -> None:
        """Log the warnings that the file did not cause the last time."""
        new = [one for one in reading.remarks if one not in self._remarks]
        self._remarks = frozenset(reading.remarks)
        for key, text in new[:REMARKS]:
            log.warning(SUBJECT, f"{reading.places.get(key, name)}: {key}: {text}", "config")
        if len(new) > REMARKS:
            log.warning(
                SUBJECT, f'{name}: {len(new) - REMARKS} more warnings: "ikepy check" shows them all', "config"
            )

    async def _use(
        self, layers: Layers, source: str, places: Mapping[str, str] | None = None
    ) -> ConfigDifference:
        try:
            change = await self._apply(layers.merged(), source)
        except ConfigError as error:
            raise ConfigError(error.file, error.problems, places) from None
        # With what waits for the daemon's next start as it is in use: only a reload names that again.
        file = layers.file.model_copy(update={"daemon": change.config.daemon})
        self._layers = replace(layers, file=file)
        return change


def _wipe(former: Layers, layers: Layers) -> None:
    """Wipe the secrets of `former` that `layers` has no more. The machine keeps copies of replaced ones."""
    kept = {id(secret) for secret in _secrets(layers)}
    for secret in _secrets(former):
        if id(secret) not in kept:
            secret.wipe()


def _secrets(layers: Layers) -> Iterator[Secret]:
    return (entry.secret for each in (layers.file.secrets, layers.secrets) for entry in each.values())


def _noticed(task: asyncio.Task[ConfigDifference]) -> None:
    """Nobody may wait for the end any more. A refusal is in the log already; anything else is a fault."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, ConfigError | LocalMisuse):
        log.log(logging.ERROR, SUBJECT, "the reload failed", traceback=error)
