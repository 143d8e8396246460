"""What is known of one IKE SA from its messages, and small questions to those."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ikepy.crypto.key_schedule import IkeSuite, Seed
from ikepy.dissect.derivation import SkKeys, Step
from ikepy.errors import WireError
from ikepy.sa.message.int_auth import IntAuth
from ikepy.wire.constants import NotifyType, TransformType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import CertPayload, KePayload, NotifyPayload, Payload
from ikepy.wire.proposal import Proposal

MAX_STEPS = 512

Payloads = tuple[Payload, ...]
Publics = tuple[bytes, bytes]  # of a key exchange, the initiator's first
P = TypeVar("P", bound=Payload)
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Created:
    """A CREATE_CHILD_SA: its request and response, and the public values of its key exchanges so far."""

    asked: Payloads
    payloads: Payloads
    publics: tuple[Publics, ...] = ()


@dataclass(slots=True)
class Seen:
    """One IKE SA: its set-up in the clear, and what was concluded since."""

    request: bytes
    response: bytes
    seed: Seed
    suite: IkeSuite | None
    keys: SkKeys | None = None  # derived, not told
    publics: list[Publics] = field(default_factory=list)  # of its key exchanges before IKE_AUTH
    ppk: bool = False  # what is derived here is not all of its keys
    eap: bool = False
    resumed: bool = False  # by a ticket (RFC 5723)
    ids: dict[bool, bytes] = field(default_factory=dict)  # by whether of the initiator
    certs: dict[bool, CertPayload] = field(default_factory=dict)
    int_auth: IntAuth = field(default_factory=IntAuth)
    covered: set[tuple[bool, int]] = field(default_factory=set)  # messages that `int_auth` has
    requests: OrderedDict[tuple[bool, int], Payloads] = field(default_factory=OrderedDict)
    followed: OrderedDict[bytes, Created] = field(default_factory=OrderedDict)  # by what links exchanges
    steps: list[Step] = field(default_factory=list)

    def add_steps(self, steps: Sequence[Step]) -> None:
        new = [one for one in steps if one not in self.steps]  # a message may be opened again
        self.steps += new[: MAX_STEPS - len(self.steps)]


def remember(table: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Put it in as the newest; the oldest make room."""
    table[key] = value
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)


def first(payloads: Payloads, kind: type[P]) -> P | None:
    """The first payload of this kind."""
    return next((one for one in payloads if isinstance(one, kind)), None)


def decoded(octets: bytes) -> Payloads:
    """The payloads of an unprotected message, none if it is malformed."""
    try:
        return decode_message(octets).payloads
    except WireError:
        return ()


def publics(asked: Payloads, payloads: Payloads) -> Publics | None:
    """The public values of the key exchange of a request and its response; None if there is none."""
    ke_i, ke_r = first(asked, KePayload), first(payloads, KePayload)
    return None if ke_i is None or ke_r is None else (ke_i.data, ke_r.data)


def uses_ppk(payloads: Payloads) -> bool:
    """Whether a response says that a postquantum preshared key is mixed in (RFC 8784, RFC 9867)."""
    return any(isinstance(one, NotifyPayload) and one.notify == NotifyType.PPK_IDENTITY for one in payloads)


def link(payloads: Payloads) -> bytes | None:
    """What links an exchange to the next one (RFC 9370 2.2.4); None if there is none."""
    for one in payloads:
        if isinstance(one, NotifyPayload) and one.notify == NotifyType.ADDITIONAL_KEY_EXCHANGE:
            return one.data
    return None


def transform(proposal: Proposal, type: TransformType) -> int:
    """The transform's ID; 0 if there is none."""
    return next((one.id for one in proposal.transforms if one.type == type), 0)


def key_bits(proposal: Proposal) -> int | None:
    """The key length of its encryption algorithm."""
    found = (one.key_length for one in proposal.transforms if one.type == TransformType.ENCR)
    return next(found, None)


def suite_of(proposal: Proposal) -> IkeSuite | None:
    """The algorithms of a chosen IKE proposal; None if it lacks some."""
    encr, prf_id = transform(proposal, TransformType.ENCR), transform(proposal, TransformType.PRF)
    if not encr or not prf_id:
        return None
    return IkeSuite(encr, key_bits(proposal), prf_id, transform(proposal, TransformType.INTEG) or None)
