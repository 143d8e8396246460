"""The lab's flow of numbered UDP packets, for tests in which none may get lost."""

from __future__ import annotations

from ikepy.lab import flow


class Flow(flow.Flow):
    """A context manager: it sends while the block runs."""

    def assert_nothing_lost(self) -> None:
        """Every packet arrived, once. To be called after the block."""
        for way in (self.to_right, self.to_left):
            assert way.sent > 0 and way.complete, str(way)
            assert len(way.arrived) == way.sent, f"{way.name}: packets arrived twice"
