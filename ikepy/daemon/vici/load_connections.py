"""VICI's commands that load connections: load-conn, unload-conn, get-conns.

They change the layer that is above the file's: `ikepy.config.layers`.
"""

from __future__ import annotations

from ikepy.config.difference import ConfigDifference
from ikepy.config.layers import Layers
from ikepy.config.model import Connection
from ikepy.config.report import Problem
from ikepy.config.sources import vici_message
from ikepy.daemon import log
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure
from ikepy.errors import ConfigError, LocalMisuse

SUBJECT = "VICI"
REMARKS = 20  # warnings on what a message loads, at most


class LoadConnections:
    """Executes them."""

    def __init__(self, desired: DesiredConfig) -> None:
        self._desired = desired

    async def load_conn(self, given: Decoded, _: Stream) -> Pairs:
        """Use the connections of the message, each in place of one of its name; none of them if one is bad.

        What differs from the one in use is changed in place where it can be, else that connection is
        replaced; its `start_action` is executed if it is new or another one.
        """
        remarks: list[Problem] = []

        def edit(layers: Layers) -> Layers:
            reading = vici_message.read(given, layers)
            remarks.extend(reading.remarks)
            for connection in reading.config.connections.values():
                if not _is_there(connection, layers):
                    layers = layers.with_connection(connection)
            return layers

        try:
            change = await self._desired.change(edit)
        except (ConfigError, LocalMisuse) as error:
            return failure(str(error))
        _tell(change, remarks)
        return SUCCESS

    async def unload_conn(self, given: Decoded, _: Stream) -> Pairs:
        """Take back a connection that came by VICI. One of its name in the file is in use again."""
        arguments.unknown(given, ("name",))
        name = arguments.text(given, "name")
        if name is None:
            return failure("unload: missing connection name")

        def edit(layers: Layers) -> Layers:
            try:
                return layers.without_connection(name)
            except KeyError:
                hint = "; it is in the configuration file, not loaded by VICI"
                hint = hint if name in layers.file.connections else ""
                raise ViciError(f"unload: connection '{name}' not found{hint}") from None

        try:
            await self._desired.change(edit)
        except (ConfigError, LocalMisuse) as error:
            return failure(str(error))
        return SUCCESS

    async def get_conns(self, given: Decoded, _: Stream) -> Pairs:
        """Those that came by VICI: `swanctl --load-conns` unloads what it finds here and not in its file."""
        arguments.unknown(given, ())
        return [("conns", list(self._desired.layers.connections))]


def _is_there(connection: Connection, layers: Layers) -> bool:
    """Whether it is loaded already: the object stays, so that nothing has to be compared with it again."""
    known = layers.connections.get(connection.name)
    return known is not None and known == connection and list(known.children) == list(connection.children)


def _tell(change: ConfigDifference, remarks: list[Problem]) -> None:
    """Log the warnings on what was loaded, unless it was there already."""
    if not (change.added or change.changed):
        return
    for key, text in remarks[:REMARKS]:
        log.warning(SUBJECT, f"{key}: {text}")
    if len(remarks) > REMARKS:
        log.warning(SUBJECT, f"{len(remarks) - REMARKS} more warnings")
