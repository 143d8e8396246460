"""What a RADIUS server says, as values, whichever library has read it (RFC 2865 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ikepy.config.radius import Radius
from ikepy.daemon.radius.attributes import Attributes, Key
from ikepy.errors import IkeError

ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE = 2, 3, 11
ACCESS_ANSWERS = frozenset({ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE})


class NoAnswer(IkeError):  # noqa: N818  a state of the servers
    """No server answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`values`: by attribute, the MPPE keys decrypted. `server`: who answered."""

    code: int
    values: dict[Key, list[bytes]]
    server: str


class Client(Protocol):
    """Asks servers, and waits."""

    @property
    def settings(self) -> Radius: ...

    def access(self, attributes: Attributes, server: str | None = None) -> Answer:
        """The answer to an Access-Request. `server`: the one that has the conversation. Raises NoAnswer."""
        ...

    def account(self, attributes: Attributes) -> Answer:
        """The answer to an Accounting-Request. Raises NoAnswer."""
        ...
