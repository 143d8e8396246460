"""Defines the interface of authentication methods: build AUTH, verify the peer's (RFC 7296 2.15, 2.16).

A method answers each message with a `Step`, which is a value, and keeps no state of its own. What it has to
remember for the next message is captured in `More.following`; what it has to remember while something slow is
computed, in the job of `Pending`, which gives the next step. So it can't advance twice: a handler that starts
over after a job continues with the step that the job gave, and `following` comes into force only when the
message has been handled to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import SignedOctets
from ikepy.errors import LocalMisuse
from ikepy.sa.api.computation import Computation
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.wire.payloads import Payload


@dataclass(frozen=True, slots=True)
class Context:
    """What a method knows of the IKE_SA that it authenticates.

    `remote_id`: whom we expect as initiator, or whom the peer claims to be. `octets`: what our AUTH covers.
    `secrets`: as they are now, not as they were when this was made.
    `known`: False if no connection is for this peer: it must fail, and cost as much as one with a wrong key.
    """

    secrets: SharedSecrets
    random: Callable[[int], bytes]
    prf: int
    local_id: Identity
    remote_id: Identity
    octets: SignedOctets
    known: bool = True


@dataclass(frozen=True, slots=True)
class Received:
    """An IKE_AUTH message of the peer's. `octets`: what its AUTH has to cover."""

    payloads: tuple[Payload, ...]
    remote_id: Identity
    octets: SignedOctets


@dataclass(frozen=True, slots=True)
class Done:
    """The peer has proven its identity. `payloads`: the proof of ours, in the responder's last response.
    `remark`: on how, for our log; "" if there is nothing to say."""

    payloads: tuple[Payload, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class More:
    """`payloads` go into our next message; `following` takes the peer's answer to it."""

    payloads: tuple[Payload, ...]
    following: Following


@dataclass(frozen=True, slots=True)
class Pending:
    """`job` takes about `seconds`, runs beside all else, and gives the next step: a signature, a chain.

    It depends only on what it captured. An exception that it raises is raised in the handler.
    """

    job: Callable[[], Step]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody is authenticated. `why` is for our log: the peer hears the same whatever the cause."""

    why: str
    fault: AuthenticationFault = AuthenticationFault.NOT_PROVEN


Step = Done | More | Pending | Failed
Following = Callable[[Received], Step]


class Authenticator(Protocol):
    """A method of authentication, in both roles."""

    def initiate(self, context: Context) -> Step:
        """As initiator, what goes into our first IKE_AUTH request: More, Pending or Failed."""
        ...

    def respond(self, context: Context, message: Received) -> Step:
        """As responder, what follows from the peer's first IKE_AUTH request."""
        ...

    def credential(self, context: Context) -> str:
        """How the log calls what we authenticate with as initiator; "" if there is none."""
        ...


AuthenticatorOf = Callable[[Connection], Authenticator]


def settle(step: Step, work: Computation, generation: int) -> Done | More | Failed:
    """Follow the jobs of `step` until it needs none. May raise ResultPending, or what a job raises.

    `generation` of the configuration: a job that began by another one counts for nothing.
    """
    number = 0
    while isinstance(step, Pending):
        name = "authentication", generation, number
        step = work.result(name, step.seconds, partial(_job, step))
        number += 1
    return step


def begin(step: Step, work: Computation, generation: int) -> More | Failed:
    """As `settle`, for an initiator's first step, at which nobody has proven anything yet."""
    first = settle(step, work, generation)
    if isinstance(first, Done):
        raise LocalMisuse("a method of authentication is done before the peer has said a word")
    return first


def _job(step: Pending) -> Callable[[], Step]:
    return step.job
