"""VICI's commands that load something, or take it back: by name, with what they have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.load_connections import LoadConnections
from ikepy.daemon.vici.load_secrets import LoadSecrets
from ikepy.daemon.vici.message import Decoded, Pairs
from ikepy.daemon.vici.vici_client import Stream

Command = Callable[[Decoded, Stream], Awaitable[Pairs]]


class Loading:
    """What VICI loads into a daemon. `commands`: what its commands are called."""

    def __init__(self, desired: DesiredConfig) -> None:
        connections = LoadConnections(desired)
        self._secrets = LoadSecrets(desired)
        self.commands: dict[str, Command] = {
            "load-conn": connections.load_conn,
            "unload-conn": connections.unload_conn,
            "get-conns": connections.get_conns,
            "load-shared": self._secrets.load_shared,
            "unload-shared": self._secrets.unload_shared,
            "get-shared": self._secrets.get_shared,
            "clear-creds": self._clear_creds,
        }

    async def _clear_creds(self, given: Decoded, _: Stream) -> Pairs:
        """Take back all credentials that came by VICI."""
        arguments.unknown(given, ())
        return await self._secrets.clear()
