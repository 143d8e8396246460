"""The CHILD_SAs of one IKE_SA by child_id, and the questions that are asked of them (RFC 7296 2.8, 2.9)."""

from __future__ import annotations

from ikepy.config.model import Child
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.state.child_sa import ChildSa, ChildState


class Children(dict[int, ChildSa]):
    """By child_id, oldest first; those that are to be deleted, or kept for late packets, included."""

    def by_outbound_spi(self, spi: int) -> ChildSa | None:
        """The child with this outbound SPI; if the peer gave it to two, one that is not deleted."""
        found = [child for child in self.values() if child.spi_out == spi]
        return min(found, key=lambda child: child.state is ChildState.DELETED, default=None)

    def has(self, config: Child | None, child_id: int | None = None) -> bool:
        """Whether a child of this configuration (and with this child_id) is in use and stays."""
        return any(
            child.config is config and child.stays and child_id in (None, child.child_id)
            for child in self.values()
        )

    def successor(self, child: ChildSa) -> ChildSa | None:
        """The child that has replaced this one, if it is still there."""
        return None if child.replaced_by is None else self.get(child.replaced_by)

    def predecessor(self, child: ChildSa) -> ChildSa | None:
        """The child that the peer has replaced by this one, as long as it has not deleted it."""
        replaced = (c for c in self.values() if c.replaced_by == child.child_id)
        return next((c for c in replaced if c.state is ChildState.REKEYED), None)

    def ready(self, child: ChildSa) -> ChildSa:
        """The newest child that the peer surely has: `child`, or an earlier one as long as the peer may not
        have received the response that created `child` (RFC 7296 2.8)."""
        before = {c.replaced_by: c for c in reversed(self.values()) if c.state is ChildState.REKEYED}
        while child.child_id in before:
            child = before[child.child_id]
        return child

    def alike(self, child: ChildSa) -> ChildSa | None:
        """Another child of the same name and traffic that stays."""
        others = (c for c in self.values() if c is not child and c.stays)
        return next(
            (c for c in others if c.config.name == child.config.name and c.selectors == child.selectors), None
        )

    def carries(self, name: str, packet: Pair) -> bool:
        """Whether a child of this name is in use that carries such a packet."""
        return any(
            child.config.name == name and child.in_use and child.selectors.carries(packet)
            for child in self.values()
        )

    def lacks(self, name: str, packet: Pair) -> bool:
        """Whether children of this name are in use, but such a packet needs another one."""
        partial = [c for c in self.values() if c.config.name == name and c.in_use and c.trapped]
        return bool(partial) and not self.carries(name, packet)
