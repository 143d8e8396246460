"""What IKE asks of a key exchange method, a Diffie-Hellman group or a KEM alike (RFC 7296 2.14, RFC 9370).

The initiator begins with a public value, the responder answers it with its own and has the secret at once,
and the initiator finishes with that. A KEM's public values differ by role: an encapsulation key one way, a
ciphertext the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.wire.constants import NotifyType

Random = Callable[[int], bytes]  # size -> that many random bytes
Response = tuple[bytes, Secret]  # the responder's public value, and the shared secret
UNACCEPTABLE = "not an acceptable value"


class KeyExchange(Protocol):
    """A method by its transform ID (transform type 4). Public values are the data of a KE payload.

    `begin` and `respond` draw randomness at once and return the rest of the work as a function, which may run
    in any thread and should release the GIL if it takes long.
    """

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def seconds(self) -> float:
        """Estimated CPU seconds on a slow machine: of `respond`, or of `begin` and `finish` together."""
        ...

    def begin(self, random: Random) -> Callable[[], Begun]:
        """Begin as initiator."""
        ...

    def respond(self, random: Random, public: bytes) -> Callable[[], Response]:
        """Answer the initiator's public value; the function raises PeerError as `check_initiator` does."""
        ...

    def check_initiator(self, public: bytes) -> None:
        """Validate an initiator's public value as far as that is cheap: it comes before the expensive work.

        PeerError (INVALID_SYNTAX, fatal: RFC 6989 2.5) if it is not acceptable.
        """
        ...

    def check_responder(self, public: bytes) -> None:
        """The same for a responder's public value."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """An initiator's key exchange under way; `public` is to be sent.

    `derive`: the peer's public value -> the secret; ValueError if it is not acceptable.
    """

    method: KeyExchange
    public: bytes
    derive: Callable[[bytes], bytes] = field(repr=False)

    def finish(self, public: bytes) -> Secret:
        """The shared secret. PeerError as `check_responder` raises; another value may be tried after it."""
        self.method.check_responder(public)
        return secret_of(self.method.name, self.derive, public)


def secret_of(name: str, derive: Callable[[bytes], bytes], public: bytes) -> Secret:
    """What `derive` gives; its ValueError, for a value that only the computation finds bad, as PeerError."""
    try:
        return Secret(derive(public))
    except ValueError:
        raise invalid(name, UNACCEPTABLE) from None


def invalid(name: str, why: str) -> PeerError:
    """The error for a public value of the method `name` (RFC 6989 2.5)."""
    return PeerError(NotifyType.INVALID_SYNTAX, f"public value of {name}: {why}", fatal=True)
