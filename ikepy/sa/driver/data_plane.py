"""What follows from reports of the data plane: unknown SPIs, refused packets, moved peers, traffic, lost SAs.

RFC 7296 1.5 and 2.23, RFC 4301 5.2, RFC 4303 3.3.3.
"""

from __future__ import annotations

from ikepy.sa.api.commands import ChildrenLost, SequenceLow
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.events import MoveReason, PacketRefused
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.driver import clock
from ikepy.sa.driver.turns import proceed
from ikepy.sa.exchange import path_update
from ikepy.sa.state import event_text
from ikepy.sa.state.child_sa import ChildState
from ikepy.sa.state.ike_sa import IkeSa, Registry, Settle
from ikepy.sa.state.lifetime import TrafficLimit
from ikepy.sa.state.phase import Phase
from ikepy.sa.tasks import child_create, child_rekey
from ikepy.wire.constants import NotifyType, ProtocolId
from ikepy.wire.payloads import NotifyPayload


class DataPlaneReports:
    """Finds the IKE_SA that a report is about, and has it act."""

    def __init__(self, registry: Registry, settle: Settle) -> None:
        self._registry = registry
        self._settle = settle

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]:
        """Report ESP with an unknown SPI to its sender by INVALID_SPI, if it is a peer (RFC 7296 1.5)."""
        notify = NotifyPayload(NotifyType.INVALID_SPI, spi.to_bytes(4, "big"))
        for sa in self._registry.sas.values():
            if sa.established and sa.path.remote.address == path.remote.address:
                return self._settle(sa, clock.tell(sa, notify, now), now)
        return []

    def not_permitted(self, child_id: int, start: bytes, now: float) -> list[Effect]:
        """Log a packet outside a child's selectors, and report it by INVALID_SELECTORS (RFC 4301 5.2)."""
        sa = self._owner(child_id)
        if sa is None:
            return []
        told = sa.report(PacketRefused(sa.itself, sa.children[child_id].snapshot(), start), Level.WARNING)
        if not self._registry.config.daemon.invalid_selectors:
            return told
        spi = sa.children[child_id].spi_in.to_bytes(4, "big")
        notify = NotifyPayload(NotifyType.INVALID_SELECTORS, start, ProtocolId.ESP, spi)
        return [*told, *self._settle(sa, clock.tell(sa, notify, now), now)]

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]:
        """Follow a peer behind a NAT to the source address of an authentic ESP packet (RFC 7296 2.23)."""
        sa = self._owner(child_id)
        if sa is None or not sa.nat.remote or sa.nat.local or sa.path.remote == remote:
            return []
        if sa.path != sa.children_path:
            # A new path is being checked (RFC 4555 3.7). With MOBIKE, following ESP is a MAY (3.8), and this
            # packet may be older than the peer's last move: at its source address the check would fail. If
            # the peer did move once more, the initiator notices and announces that (3.8, 3.11).
            return []
        old, path = sa.path, Path(sa.path.local, remote)
        log = sa.log(Level.INFO, event_text.moved(old, path, MoveReason.NAT_MAPPING))
        return [log, *path_update.follow(sa, path)]

    def usage(self, child_id: int, octets: int, packets: int, now: float) -> list[Effect]:
        """Rekey or expire a child by its traffic: octets and packets so far, in its busier direction."""
        sa = self._owner(child_id)
        if sa is None or not sa.children[child_id].in_use:
            return []
        child = sa.children[child_id]
        if child.state is ChildState.INSTALLED and (child.bytes.low(octets) or child.packets.low(packets)):
            # Checked first, as a fast flow may pass both limits between two reports: then rekey the child.
            child.bytes.rekey = child.packets.rekey = 0
            child.lifetime.rekey_at = now
        elif child.bytes.used_up(octets) or child.packets.used_up(packets):
            child.bytes = child.packets = TrafficLimit()
            child.lifetime.expires_at = now
        else:
            return []
        return self._settle(sa, clock.tick(sa, now), now)

    def children_lost(self, command: ChildrenLost, now: float) -> list[Effect]:
        """Replace children whose ESP SAs the data plane lost: create the new one, then delete the old one."""
        effects: list[Effect] = []
        for child_id in command.child_ids:
            sa = self._owner(child_id)
            if sa is None:
                continue
            child = sa.children[child_id]
            if child.state is ChildState.REKEYED:
                child.lost = True  # which counts if the peer deletes what has replaced it
            if child.in_use and sa.phase is Phase.ESTABLISHED:
                child.lost = True
                child_create.replace_lost(sa, child)
            effects += self._settle(sa, proceed(sa, now), now)
        return effects

    def sequence_low(self, command: SequenceLow, now: float) -> list[Effect]:
        """Rekey a child before its outbound sequence numbers run out (RFC 4303 3.3.3)."""
        sa = self._owner(command.child_id)
        if sa is None or sa.children[command.child_id].state is not ChildState.INSTALLED:
            return []
        child = sa.children[command.child_id]
        child_rekey.begin(sa, child)
        log = sa.log(
            Level.WARNING, f"{child.config.name} #{child.child_id}: sequence numbers run out, replaced"
        )
        return [log, *self._settle(sa, proceed(sa, now), now)]

    def _owner(self, child_id: int) -> IkeSa | None:
        return self._registry.owners.get(child_id)
