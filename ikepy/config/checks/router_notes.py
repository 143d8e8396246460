"""Finds router advertisements that may never be sent; `ikepy check` and the start warn of them.

They are no mistakes: the connections may come by VICI.
"""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.config.model import Config


def notes(config: Config) -> Iterator[tuple[str, str]]:
    """All of them, as (key path, text)."""
    devices = {one.vti.name: name for name, one in config.connections.items()}
    for name, settings in config.router_advertisements.items():
        key = f"router_advertisements.{name}"
        if name in devices:
            yield (
                key,
                f"is the device of {devices[name]}: hosts that take advertisements are on a link of this "
                "host, like vxeth0",
            )
        if not settings.connections and not any(one.may_carry_ipv6 for one in config.connections.values()):
            yield (
                key,
                "no connection has IPv6 networks in the remote_ts of a child: nothing is announced until one "
                "that does comes by VICI",
            )
        for index, connection in enumerate(settings.connections):
            known = config.connections.get(connection)
            if known is None:
                text = "no connection has this name here: it counts as down, unless it comes by VICI"
                yield f"{key}.connections[{index}]", text
            elif not known.may_carry_ipv6:
                text = "has no IPv6 networks in the remote_ts of a child: for IPv6 it is never up"
                yield f"{key}.connections[{index}]", text
