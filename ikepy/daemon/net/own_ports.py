"""Chooses our UDP ports where the configuration leaves them to the kernel: `port = 0`, as charon.port.

The kernel would give each socket a port of its own. One that no address uses now is chosen for all of them,
so that an IKE_SA can move to another address and keep its port.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from ikepy.config.model import Config


@dataclass(frozen=True, slots=True)
class OwnPorts:
    """The chosen ports; 0 where the configuration names one."""

    port: int = 0
    port_nat_t: int = 0

    @property
    def chosen(self) -> bool:
        return bool(self.port or self.port_nat_t)

    def applied(self, config: Config) -> Config:
        """The configuration with the chosen ports where it has 0, also where a part of it had them before."""
        if not self.chosen:
            return config
        daemon = config.daemon
        used = {"port": daemon.port or self.port, "port_nat_t": daemon.port_nat_t or self.port_nat_t}
        local = {"local_port": self.port or self.port_nat_t}
        connections = {
            name: one if one.local_port else one.model_copy(update=local)
            for name, one in config.connections.items()
        }
        update = {"daemon": daemon.model_copy(update=used), "connections": connections}
        return config.model_copy(update=update)


def choose(config: Config) -> OwnPorts:
    """Ports that are free now. Raises OSError."""
    with _unbound() as first, _unbound() as second:
        return OwnPorts(
            0 if config.daemon.port else _bind(first),
            0 if config.daemon.port_nat_t else _bind(second),
        )


def _unbound() -> socket.socket:
    """A socket for all addresses of both families, or of IPv4 where the kernel has no IPv6."""
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return sock


def _bind(sock: socket.socket) -> int:
    sock.bind(("" if sock.family == socket.AF_INET else "::", 0))
    return int(sock.getsockname()[1])
