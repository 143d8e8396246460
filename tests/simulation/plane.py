"""What a worker holds, without its bytes: SAs by SPI, which outbound one a packet takes, and what came of it.

The rules are `esp.datapath.sa_database`'s: the newest active SA of a policy; a standby one is activated by
command, by the first packet that comes in under its child, or when the last active one of its selectors goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ikepy.crypto.secret import Secret
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Effect,
    InstallInbound,
    InstallOutbound,
    RemoveChild,
    RemoveOutbound,
    UpdatePath,
)
from ikepy.sa.api.esp_state import EspState
from ikepy.sa.api.path import Endpoint, Path


@dataclass(slots=True, eq=False)
class Outbound:
    """An outbound SA; `standby_born`: it replaces another, whose peer may not be ready yet."""

    sa: InstallOutbound
    active: bool
    standby_born: bool
    path: Path
    sent: int = 0  # the last sequence number


@dataclass(slots=True, eq=False)
class Packet:
    """One ESP packet under way, with what its sender held when it left."""

    sa: InstallOutbound
    standby_born: bool
    path: Path
    number: int  # of those under its SA


class Breach(AssertionError):  # noqa: N818  a law, not an error
    """A law is broken."""


def _fit(sender: InstallOutbound, receiver: InstallInbound) -> bool:
    """Whether what is sent under one can be decrypted under the other."""
    return (sender.keys, sender.suite, sender.ts_local, sender.ts_remote) == (
        receiver.keys,
        receiver.suite,
        receiver.ts_remote,
        receiver.ts_local,
    )


@dataclass(slots=True)
class Plane:
    """The SAs of one site."""

    inbound: dict[int, InstallInbound] = field(default_factory=dict)  # by SPI
    outbound: dict[int, Outbound] = field(default_factory=dict)  # by child_id, oldest first
    remotes: dict[int, Endpoint] = field(default_factory=dict)  # by child_id: where the peer is, with encap
    fitting: dict[int, InstallOutbound] = field(default_factory=dict)  # by inbound SPI: found to fit
    newest: dict[int, int] = field(default_factory=dict)  # by inbound SPI: the highest packet number
    spis: set[int] = field(default_factory=set)  # every inbound SPI there ever was
    keys: set[bytes] = field(default_factory=set)  # of every direction there ever was
    used: set[tuple[bytes, int]] = field(default_factory=set)  # keys and sequence numbers, of what was sent

    def run(self, effect: Effect) -> None:
        match effect:
            case InstallInbound():
                self._fresh(effect.keys)
                if effect.spi in self.spis:
                    raise Breach(f"the inbound SPI {effect.spi:08x} comes a second time")
                self.spis.add(effect.spi)
                self.inbound[effect.spi] = effect
                self.newest[effect.spi] = effect.replay_top
                self._meet(effect)
            case InstallOutbound():
                self._fresh(effect.keys)
                if effect.child_id in self.outbound:
                    raise Breach(f"child {effect.child_id} has an outbound SA")
                self.outbound[effect.child_id] = Outbound(
                    effect, not effect.standby, effect.standby, effect.path, effect.last_sequence
                )
            case ActivateOutbound():
                if effect.child_id in self.outbound:
                    self.outbound[effect.child_id].active = True
            case UpdatePath():
                self._meet(effect)
                if effect.child_id in self.outbound:
                    self.outbound[effect.child_id].path = effect.path
            case RemoveOutbound():
                self._remove_outbound(effect.child_id)
            case RemoveChild():
                self._remove_outbound(effect.child_id)
                gone = [spi for spi, sa in self.inbound.items() if sa.child_id == effect.child_id]
                for spi in gone:
                    del self.inbound[spi]
                self.remotes.pop(effect.child_id, None)
            case _:
                pass

    def has(self, connection: str, child: str) -> bool:
        """Whether there is an outbound SA for this policy."""
        return any((o.sa.connection, o.sa.child) == (connection, child) for o in self.outbound.values())

    def states(self) -> dict[int, EspState]:
        """How far all SAs have got, for a machine that takes them over."""
        found: dict[int, EspState] = {}
        for spi, sa in self.inbound.items():
            out, top = self.outbound.get(sa.child_id), self.newest.get(spi, 0)
            found[sa.child_id] = (
                EspState(0, top) if out is None else EspState(out.sent, top, standby=not out.active)
            )
        return found

    def lose(self, child_ids: set[int]) -> None:
        """A worker's process ended, and with it these SAs."""
        self.inbound = {spi: sa for spi, sa in self.inbound.items() if sa.child_id not in child_ids}
        self.outbound = {child: sa for child, sa in self.outbound.items() if child not in child_ids}

    def _meet(self, effect: InstallInbound | UpdatePath) -> None:
        if effect.encap:
            self.remotes[effect.child_id] = effect.path.remote
        else:
            self.remotes.pop(effect.child_id, None)

    def _fresh(self, keys: Secret) -> None:
        if keys.expose() in self.keys:
            raise Breach("the keys of an SA come a second time")
        self.keys.add(keys.expose())

    def _remove_outbound(self, child_id: int) -> None:
        gone = self.outbound.pop(child_id, None)
        if gone is None or not gone.active:
            return
        alike = [
            o
            for o in self.outbound.values()
            if (o.sa.ts_local, o.sa.ts_remote) == (gone.sa.ts_local, gone.sa.ts_remote)
            and o.sa.connection == gone.sa.connection
        ]
        if alike and not any(o.active for o in alike):
            alike[0].active, alike[0].standby_born = True, False  # nobody has said that the peer is ready

    def send(self, connection: str, child: str) -> Packet | None:
        """A packet for this policy; None if there is no SA for it."""
        for out in reversed(self.outbound.values()):
            sa = out.sa
            if out.active and sa.connection == connection and sa.child == child:
                out.sent += 1
                nonce = sa.keys.expose(), out.sent
                if nonce in self.used:
                    raise Breach("a sequence number comes a second time under one key")
                self.used.add(nonce)
                return Packet(sa, out.standby_born, out.path, out.sent)
        return None

    def receive(self, packet: Packet) -> bool:
        """Whether the packet can be decrypted; its child may be sent under from now on."""
        sa = self.inbound.get(packet.sa.spi)
        if sa is None or (self.fitting.get(packet.sa.spi) is not packet.sa and not _fit(packet.sa, sa)):
            return False
        self.fitting[packet.sa.spi] = packet.sa
        out = self.outbound.get(sa.child_id)
        if out is not None:
            out.active = True
        return True

    def moved(self, packet: Packet, source: Endpoint) -> int | None:
        """The child whose peer sent this valid packet from another place than before (RFC 7296 2.23)."""
        if packet.number <= self.newest.get(packet.sa.spi, 0):
            return None  # it may be a replay, or late
        self.newest[packet.sa.spi] = packet.number
        child_id = self.inbound[packet.sa.spi].child_id
        return child_id if self.remotes.get(child_id, source) != source else None
