"""What an IKE_SA knows only until both ends are authenticated (RFC 7296 1.2, 2.15)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.admission.connection_match import NOBODY, Candidates
from ikepy.sa.api.path import Endpoint
from ikepy.sa.auth.announced import NOTHING, Announced
from ikepy.sa.message.int_auth import IntAuth
from ikepy.sa.state.auth_round import AuthRound
from ikepy.sa.state.exchange_plan import ExchangePlan
from ikepy.sa.state.init_exchange import InitExchange

S = TypeVar("S")  # the IKE_SA
NO_INT_AUTH = IntAuth()


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that the peer may repeat: under the keys that it came with, whatever followed from it."""

    exchange: int
    cipher: SkCipher


@dataclass(slots=True)
class Connecting(Generic[S]):
    """The data of CREATED and CONNECTING: `IkeSa.enter` drops it with them.

    `source`: where the peer sent its IKE_SA_INIT from, or ours went to. `candidates`: the connections that
    the peer may mean, if it initiated. `expected`: it did so from an expected place (`ExpectedPlaces`).
    `give_up_at`: when the set-up has taken too long.
    """

    source: Endpoint
    init: InitExchange = field(default_factory=InitExchange)
    plan: ExchangePlan[S] = field(default_factory=ExchangePlan)
    candidates: Candidates = NOBODY
    expected: bool = False
    give_up_at: float | None = None
    peer_childless: bool = False  # the responder accepts an IKE_AUTH without a child (RFC 6023)
    initial_contact: bool = False  # the initiator says that it has no other IKE_SA with us (RFC 7296 2.4)
    announced: Announced = NOTHING  # what the peer's IKE_SA_INIT says about authentication
    auth_round: AuthRound | None = None  # between two rounds of IKE_AUTH
    int_auth: IntAuth = NO_INT_AUTH
    ppk: bool = False  # both ends announce postquantum preshared keys (RFC 8784)
    ppk_early: bool = False  # likewise, in IKE_INTERMEDIATE (RFC 9867)
    ppk_id: bytes = b""  # of the one that was mixed in there
    answered: Answered | None = None  # of the peer's protected requests, the last


@dataclass(frozen=True, slots=True)
class NewlyUp:
    """An IKE_SA that has just been established: uniqueness is yet to be enforced (RFC 7296 2.4)."""

    initial_contact: bool
