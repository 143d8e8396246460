"""Why IKE_SAs and children end, and how the set-up of one fails: values that events carry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.errors import PeerError, UnheardError, WireError
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.proposal import Proposal


class End(Enum):
    """Why an IKE_SA ended: the manager's next step depends on it."""

    TIMEOUT = "the peer does not answer"
    REFUSED = "the peer refused"
    DELETED_BY_PEER = "deleted by the peer"
    DELETED = "deleted"
    REPLACED = "replaced"
    REAUTHENTICATED = "authenticated anew"
    RESTARTED = "the peer started anew"
    EXPIRED = "its life is over"
    LOST_BY_PEER = "the peer has restarted"  # by its token (RFC 6290); we had begun
    REDIRECTED = "sent to another gateway"  # RFC 5685
    ADDRESS_GONE = "our address is gone, and the peer can't be told"  # no MOBIKE
    FAULT = "internal fault"


class ChildRemoval(Enum):
    """Why a child is removed."""

    DELETED = "deleted"
    DELETED_BY_PEER = "deleted by the peer"
    WITH_IKE_SA = "with its IKE_SA"
    ELSEWHERE = "another IKE_SA has its traffic"  # as after a reauthentication
    UNKNOWN_TO_PEER = "the peer does not have it"  # CHILD_SA_NOT_FOUND (RFC 7296 2.25)
    REKEYED = "rekeyed"  # another child has its traffic; late packets had their time


class Party(Enum):
    """Whose decision a failure is."""

    US = auto()
    PEER = auto()
    NOBODY = auto()  # no answer came


@dataclass(frozen=True, slots=True)
class ProposalMismatch:
    """No proposal suits both ends. `theirs` None: the peer refused ours, and does not tell its own."""

    ours: tuple[Proposal, ...]
    theirs: tuple[Proposal, ...] | None = None


@dataclass(frozen=True, slots=True)
class SelectorMismatch:
    """No traffic selectors suit both ends; each is (local, remote) as seen from here, `ours` one a child.

    `theirs` None: the peer refused ours, and does not tell its own.
    """

    ours: tuple[tuple[tuple[Selector, ...], tuple[Selector, ...]], ...]
    theirs: tuple[tuple[Selector, ...], tuple[Selector, ...]] | None = None


@dataclass(frozen=True, slots=True)
class KeyExchangeMismatch:
    """INVALID_KE_PAYLOAD asks for a method (its number, RFC 7296 3.3.2) that none of our proposals has, or
    for the one that it refuses."""

    ours: tuple[Proposal, ...]
    wanted: int


class AuthenticationFault(Enum):
    """What was wrong with an authentication."""

    NO_CONNECTION = auto()  # no connection has these identities
    OTHER_IDENTITY = auto()  # the responder has another identity than we expect
    NO_SECRET = auto()
    WRONG_SECRET = auto()
    NO_CERTIFICATE = auto()  # we have none for our identity, or no key or way to sign with
    UNTRUSTED = auto()  # the peer's certificate or key is not to be believed
    WRONG_SIGNATURE = auto()
    USER = auto()  # EAP came to nothing: a wrong password, a certificate, a refusal of the AAA server
    METHOD = auto()  # the peer wants a method that we don't support
    NOT_PROVEN = auto()  # the method failed for another reason
    NOT_UNIQUE = auto()  # `unique = keep`, and an IKE_SA with this identity exists
    NOT_HEARD = auto()  # ignored, as it failed too often before
    NOT_SAID = auto()  # the peer refused ours, and does not say why


@dataclass(frozen=True, slots=True)
class AuthenticationFailure:
    """The peer could not authenticate here, or we there. None: an identity that is not known.

    `credential`: what we proved our identity with, as the log calls it: "secret of [secrets.a]"; or "".
    `reason`: why we did not believe the peer, or could not authenticate, in the log's words; or "".
    """

    fault: AuthenticationFault
    local_id: Identity | None
    remote_id: Identity | None
    credential: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Our request got no answer. `exchange` None: nothing authentic came in, though none is outstanding."""

    exchange: ExchangeType | None
    seconds: float
    octets: int = 0  # of the request
    datagrams: int = 0


@dataclass(frozen=True, slots=True)
class HalfOpenLimit:
    """Too many peers have begun and not authenticated: a half-open IKE_SA made room (`admission`)."""


Cause = (
    ProposalMismatch
    | SelectorMismatch
    | KeyExchangeMismatch
    | AuthenticationFailure
    | Silence
    | HalfOpenLimit
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a set-up or a rekey failed.

    `notify`: the error type that was sent or received, or would be sent if the message were answered; None
    if no error type applies. `cause` None: nothing more is known than the notify.
    """

    by: Party
    notify: int | None = None
    cause: Cause | None = None


def refused_by_peer(notify: int, cause: Cause | None = None) -> Failure:
    return Failure(Party.PEER, notify, cause)


def failure_of(error: PeerError | UnheardError | WireError) -> Failure:
    """The failure that an error stands for: our own refusal, unless the error carries one of the peer's."""
    match error:
        case PeerError(cause=Failure() as failure):
            return failure
        case PeerError(
            cause=(
                ProposalMismatch() | SelectorMismatch() | KeyExchangeMismatch() | AuthenticationFailure()
            ) as cause
        ):
            return Failure(Party.US, error.notify, cause)
        case PeerError():
            return Failure(Party.US, error.notify)
        case UnheardError(cause=AuthenticationFailure() as cause):
            return Failure(Party.US, None, cause)
        case UnheardError():
            return Failure(Party.US)
    return Failure(Party.US, NotifyType.INVALID_SYNTAX)
