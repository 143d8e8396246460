"""A child that is to come up, and who waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ikepy.config.model import Child

from .child import ChildSa
from .scope import EVERYTHING, Scope


@dataclass(slots=True)
class Wanted:
    """`tickets`: of the commands that wait for it. `scope`: how much of what is configured."""

    config: Child
    tickets: list[int] = field(default_factory=list)
    scope: Scope = EVERYTHING

    def met_by(self, child: ChildSa) -> bool:
        """Whether `child` is what is asked for."""
        return child.config.name == self.config.name and self.scope.met_by(child.selectors)
