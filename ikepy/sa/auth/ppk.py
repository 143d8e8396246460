"""Postquantum preshared keys beside any method of authentication (RFC 8784 3, RFC 9867 3.1).

AUTH covers keys that the PPK was mixed into. An initiator that can do without adds NO_PPK_AUTH, the proof
that covers the keys without it, for a responder that does not have the PPK.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import islice

from ikepy.config.identity import Identity
from ikepy.crypto.auth import same
from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.sa.auth.authenticator import Context, Done, More, Received, Step, after
from ikepy.sa.message import query
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import AuthPayload, NotifyPayload, Payload

FIXED = 2  # the type of a PPK_ID that names one key (RFC 8784 5.1)
CONFIRMATION = 8  # octets
MOST_NAMED = 16  # PPKs that are looked at, of those that a request names


def id_of(identity: Identity) -> bytes:
    """The PPK_ID by which a PPK is called on the wire: its type, then the identity's data."""
    return bytes([FIXED]) + identity.data


def confirmed(ppk_id: bytes, prf_id: int, ppk: Secret, seed: Seed) -> NotifyPayload:
    """What names a PPK in IKE_INTERMEDIATE, and shows that its key is known (RFC 9867 3.1)."""
    return NotifyPayload(NotifyType.PPK_IDENTITY_KEY, ppk_id + _confirmation(prf_id, ppk, seed))


def find(
    payloads: Sequence[Payload], prf_id: int, seed: Seed, known: Callable[[bytes], Secret | None]
) -> tuple[bytes, Secret] | None:
    """The first PPK that a request of IKE_INTERMEDIATE names and that we have, too: its PPK_ID and itself.

    `known`: the PPK by an identity's data.
    """
    for notify in islice(query.notifies(payloads, NotifyType.PPK_IDENTITY_KEY), MOST_NAMED):
        ppk_id, confirmation = notify.data[:-CONFIRMATION], notify.data[-CONFIRMATION:]
        ppk = known(ppk_id[1:]) if ppk_id[:1] == bytes([FIXED]) else None
        if ppk is not None and same(confirmation, _confirmation(prf_id, ppk, seed)):
            return ppk_id, ppk
    return None


def _confirmation(prf_id: int, ppk: Secret, seed: Seed) -> bytes:
    return prf(prf_id).compute(ppk, *astuple(seed))[:CONFIRMATION]


def identifier(payloads: Sequence[Payload]) -> bytes | None:
    """The PPK_ID of a request; None if it has none."""
    notify = query.notify(payloads, NotifyType.PPK_IDENTITY)
    return None if notify is None else notify.data


def is_used(payloads: Sequence[Payload]) -> bool:
    """Whether a response says that the responder has the PPK, too."""
    return identifier(payloads) is not None


def named(context: Context, prove: Callable[[Context], Step]) -> Step:
    """Our first AUTH, as initiator: `prove` makes it over the keys with the PPK, and where we can do without,
    once more over the others."""
    own = context.ppk
    if own is None:
        return prove(context)
    notify = NotifyPayload(NotifyType.PPK_IDENTITY, own.ppk_id)

    def optional(first: Done | More, other: Done | More) -> Step:
        auth = query.maybe(other.payloads, AuthPayload)
        without = () if auth is None else (NotifyPayload(NotifyType.NO_PPK_AUTH, auth.data),)
        return replace(first, payloads=(*first.payloads, notify, *without))

    def go_on(first: Done | More) -> Step:
        if own.required:
            return replace(first, payloads=(*first.payloads, notify))
        context.secrets.same_again(context.local_id, context.remote_id)
        return after(prove(context), partial(optional, first))

    return after(prove(context.under(own.keys)), go_on)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a request says of PPKs. `without`: the proof that does without."""

    ppk_id: bytes
    without: bytes | None


def offer(payloads: Sequence[Payload]) -> Offer | None:
    """None: it names none, though both ends have announced them."""
    ppk_id, without = identifier(payloads), query.notify(payloads, NotifyType.NO_PPK_AUTH)
    return None if ppk_id is None else Offer(ppk_id, None if without is None else without.data)


def doing_without(message: Received, proof: bytes) -> Received:
    """The message as it would be without a PPK: the method of AUTH, and the other proof."""
    return replace(
        message,
        payloads=tuple(
            replace(one, data=proof) if isinstance(one, AuthPayload) else one for one in message.payloads
        ),
    )
