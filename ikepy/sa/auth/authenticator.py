"""Defines the interface of authentication: build AUTH, verify the peer's (RFC 7296 2.15, 2.16).

An `Authenticator` is what the exchange sees. `Rounds` makes one of a `Prover`, how we prove who we are, and a
`Verifier`, how the peer must, for each round of authentication (RFC 4739).

A method answers each message with a `Step`, which is a value, and keeps no state of its own. What it has to
remember for the next message is captured in `More.following`; what it has to remember while something slow is
computed, in the job of `Pending`, which gives the next step. So it can't advance twice: a handler that starts
over after a job continues with the step that the job gave, and `following` comes into force only when the
message has been handled to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import SignedOctets
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import NOTHING as NOTHING_GRANTED
from ikepy.eap.granted import Granted
from ikepy.eap.turns import Turn
from ikepy.errors import LocalMisuse
from ikepy.sa.api.computation import Computation
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth.announced import NOTHING, Announced
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.wire.payloads import IdPayload, Payload

Following = Callable[["Received"], "Step"]


@dataclass(frozen=True, slots=True)
class Keyed:
    """What AUTH of both ends covers under one set of keys of the IKE_SA: ours by our identity, the peer's by
    its ID payload. `sk_p`: ours and the peer's."""

    own: Callable[[Identity], SignedOctets]
    peer: Callable[[IdPayload], SignedOctets]
    sk_p: tuple[Secret, Secret]


@dataclass(frozen=True, slots=True)
class OwnPpk:
    """A postquantum preshared key that we name, as initiator, beside our first AUTH (RFC 8784 3).

    `keys`: those with it. `required`: we don't do without.
    """

    ppk_id: bytes
    keys: Keyed
    required: bool


@dataclass(frozen=True, slots=True)
class Context:
    """What a method knows of the IKE_SA that it authenticates.

    `remote_id`: whom we expect as initiator, or whom the peer claims to be. `octets`: what our AUTH covers.
    `secrets`, `credentials`: as they are now, not as they were when this was made.
    `known`: False if no connection is for this peer: it must fail, and cost as much as one with a wrong key.
    `peer`: what the peer has said about authentication. `own_octets`, `peer_octets`: what AUTH of either end
    covers if it authenticates another identity than in the first round (RFC 4739). `sk_p`: ours and the
    peer's, for EAP methods that make no keys. `relay`: begins EAP with an AAA server, by the user and the
    first request's identifier, and waits for the network. `ppk`: what our first AUTH is to name, if anything.
    """

    secrets: SharedSecrets
    random: Callable[[int], bytes]
    prf: int
    local_id: Identity
    remote_id: Identity
    octets: SignedOctets
    known: bool = True
    initiator: bool = True
    credentials: Credentials = NO_CREDENTIALS
    peer: Announced = NOTHING
    own_octets: Callable[[Identity], SignedOctets] | None = None
    peer_octets: Callable[[IdPayload], SignedOctets] | None = None
    sk_p: tuple[Secret, Secret] | None = None
    relay: Callable[[str, int], Turn] | None = None
    ppk: OwnPpk | None = None

    def under(self, keys: Keyed | None) -> Context:
        """Itself where AUTH covers these keys from now on; None: those that it has covered so far."""
        if keys is None:
            return self
        return replace(
            self,
            octets=keys.own(self.local_id),
            own_octets=keys.own,
            peer_octets=keys.peer,
            sk_p=keys.sk_p,
        )


@dataclass(frozen=True, slots=True)
class Received:
    """An IKE_AUTH message of the peer's.

    `octets`: what its AUTH has to cover. `keys`: if a PPK is used, those with it, which AUTH of both ends
    covers from here on (RFC 8784).
    """

    payloads: tuple[Payload, ...]
    remote_id: Identity
    octets: SignedOctets
    keys: Keyed | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The peer has proven its identity. `payloads`: the proof of ours, in the responder's last response.
    `remark`: on how, for our log; "" if there is nothing to say.

    `eap_id`: the user that EAP has authenticated, "" without EAP; `granted`: what an AAA server grants it.
    `until`: when what proves it ends to hold, a certificate or what is known of its revocation, in seconds
    since 1970; None: it does not.

    Of a `Prover`: our proof is complete with `payloads`. `mutual`: the peer's is, too, as after EAP that both
    ends have keys of (RFC 5998). `secret`: which one the peer has proven to hold.
    """

    payloads: tuple[Payload, ...] = ()
    remark: str = ""
    mutual: bool = False
    secret: Secret | None = None
    eap_id: str = ""
    granted: Granted = NOTHING_GRANTED
    until: float | None = None


@dataclass(frozen=True, slots=True)
class More:
    """`payloads` go into our next message; `following` takes the peer's answer to it."""

    payloads: tuple[Payload, ...]
    following: Following


@dataclass(frozen=True, slots=True)
class Pending:
    """`job` takes about `seconds`, runs beside all else, and gives the next step: a signature, a chain.

    It depends only on what it captured. An exception that it raises is raised in the handler. `waits`: for
    something else than the CPU. `then` takes the step that the job gave, in the machine, and gives the one
    that counts: it may ask the context, and must change nothing, as it runs anew whenever the handler does.
    """

    job: Callable[[], Step]
    seconds: float
    waits: bool = False
    then: Callable[[Step], Step] = lambda step: step


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody is authenticated. `why` is for our log: the peer hears the same whatever the cause.

    `payloads`: what it hears beside AUTHENTICATION_FAILED: EAP-Failure.
    """

    why: str
    fault: AuthenticationFault = AuthenticationFault.NOT_PROVEN
    payloads: tuple[Payload, ...] = ()


Step = Done | More | Pending | Failed


def after(step: Step, go_on: Callable[[Done | More], Step]) -> Step:
    """What `go_on` makes of `step`, once its jobs are done and unless it failed."""
    match step:
        case Pending():
            return replace(step, then=lambda given: after(step.then(given), go_on))
        case Failed():
            return step
        case Done() | More():
            return go_on(step)


def earlier(one: float | None, other: float | None) -> float | None:
    """Of two times; None: never."""
    return min((at for at in (one, other) if at is not None), default=None)


class Prover(Protocol):
    """How we prove our identity to the peer in one round of authentication."""

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        """Done: its payloads are our proof, for our next message. More, as initiator: several messages are
        needed, as with EAP; after the last the step is Done, whose payloads don't count. The
        message with AUTH names `context.ppk`, if there is one (`ppk.named`).

        `proven`: as responder, what the verifier has found: Done, or More if the peer has begun only (EAP).
        """
        ...

    def credential(self, context: Context) -> str:
        """As `Authenticator.credential`."""
        ...


class Verifier(Protocol):
    """How the peer must prove its identity to us in one round of authentication."""

    @property
    def mutual(self) -> bool:
        """Whether, as initiator, our own proof is to verify the peer's as well: EAP alone (RFC 5998)."""
        ...

    def asks(self, context: Context) -> tuple[Payload, ...]:
        """What our first message asks the peer for: CERTREQ, notifies."""
        ...

    def verify(self, context: Context, message: Received) -> Step:
        """Done if the message proves it. More, as responder only: the payloads ask for more (EAP), the step
        after the peer's last message is Done, with our last AUTH in its payloads."""
        ...


class Authenticator(Protocol):
    """The authentication of a connection, in both roles."""

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
        step = step.then(work.result(name, step.seconds, partial(_job, step), waits=step.waits))
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
