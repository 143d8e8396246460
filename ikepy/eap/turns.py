"""What an end of an EAP conversation does next, as values.

`Turn` is the conversation's, in whole packets; `Move` is a method's within it, in the data behind the type.
A turn keeps no state: what has to be remembered is in `following`. A caller may call that once more with the
same packet, and gets the same turn (`Once`), as an IKE message is handled anew when a job of it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from ikepy.crypto.secret import Secret
from ikepy.eap.granted import NOTHING, Granted

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Say(Generic[T]):
    """`octets` go to the other end; `following` takes what it says to that, and gives the next turn."""

    octets: bytes
    following: Callable[[bytes], T]


@dataclass(frozen=True, slots=True)
class Trust(Generic[T]):
    """A certificate chain (DER, end entity first) has to be verified; `then` takes why it is not trusted,
    None if it is.

    `user`: the EAP identity that the certificate must have; "" for the peer's end, which knows whom it
    expects.
    """

    certificates: tuple[bytes, ...]
    user: str
    then: Callable[[str | None], T]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The authenticator accepts `user`, or the peer is accepted. `octets`: EAP-Success, empty at the peer.

    `msk` None: the method makes no keys.
    """

    octets: bytes
    user: str
    method: int
    msk: Secret | None
    granted: Granted = NOTHING


@dataclass(frozen=True, slots=True)
class Refused:
    """It came to nothing; `why` is for our log. `octets`: EAP-Failure, empty at the peer."""

    octets: bytes
    why: str
    user: str = ""


Turn = Say["Turn"] | Trust["Turn"] | Accepted | Refused


@dataclass(frozen=True, slots=True)
class Proven:
    """A method's end: the authenticator's, which lets EAP-Success follow."""

    msk: Secret | None = None


@dataclass(frozen=True, slots=True)
class Disproven:
    """A method's end: nobody is authenticated."""

    why: str


@dataclass(frozen=True, slots=True)
class Message:
    """What the other end says in a method: the packet's identifier, and what follows the type."""

    identifier: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """The authenticator's request; `following` takes the response."""

    data: bytes
    following: Callable[[Message], Move]


@dataclass(frozen=True, slots=True)
class Answer:
    """The peer's response. `following` takes the next request, None if there must be none.

    `proven`: EAP-Success may follow now; None: it would come too early. `why`: this is our refusal, and the
    reason of the EAP-Failure that is to follow.
    """

    data: bytes
    following: Callable[[Message], PeerMove] | None
    proven: Proven | None = None
    why: str = ""


Move = Ask | Trust["Move"] | Proven | Disproven
PeerMove = Answer | Trust["PeerMove"] | Disproven


class Once(Generic[A, T]):
    """Calls a function that can be called only once, and gives its result again for the same argument."""

    def __init__(self, call: Callable[[A], T], otherwise: T) -> None:
        self._call = call
        self._otherwise = otherwise  # for another argument
        self._lock = Lock()
        self._argument: A | None = None
        self._result: T | None = None

    def __call__(self, argument: A) -> T:
        with self._lock:
            if self._argument is None:
                self._argument = argument
                self._result = self._call(argument)
            if self._result is None or self._argument != argument:
                return self._otherwise
            return self._result
