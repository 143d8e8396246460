"""Key exchanges of an IKE_SA (RFC 7296 2.12, 2.14), each step as a job that may be computed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ikepy.crypto import kex
from ikepy.crypto.kex import KeyExchange
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import KePayload, Payload
from ikepy.wire.proposal import Proposal


class GroupChoice:
    """The group of our KE payload: the first proposed, or what the peer asks for (RFC 7296 1.2, 1.3)."""

    def __init__(self) -> None:
        self._asked: int | None = None

    def of(self, offered: Sequence[Proposal]) -> int:
        """The group of the next request; 0: none."""
        return self._asked or proposals.ke_group(offered[0])

    def follow(self, payloads: Sequence[Payload], offered: Sequence[Proposal]) -> int | None:
        """The group that INVALID_KE_PAYLOAD asks for, once, if it was offered; anything else is a refusal."""
        notify = query.notify(payloads, NotifyType.INVALID_KE_PAYLOAD)
        if notify is None or self._asked is not None:
            return None
        group = int.from_bytes(notify.data, "big")
        if group not in proposals.groups(offered):
            return None
        self._asked = group
        return group


def begin(sa: IkeSa, group: int) -> KeyExchange:
    """A fresh key pair for a request of ours. May raise ResultPending."""
    random = sa.registry.entropy.random
    return sa.jobs.current.result(
        ("key pair", group), kex.seconds(group) / 2, lambda: kex.generation(group, random)
    )


def finish(sa: IkeSa, own: KeyExchange, public: bytes) -> Secret:
    """g^ir, of the peer's public value. PeerError as `kex.check_public`; may raise ResultPending."""
    kex.check_public(own.group, public)
    name = "g^ir", own.group, public
    return sa.jobs.current.result(name, kex.seconds(own.group) / 2, lambda: partial(own.shared, public))


def answer(sa: IkeSa, group: int, ke: KePayload | None) -> tuple[bytes, Secret]:
    """Our public value and g^ir, for a request. PeerError INVALID_KE_PAYLOAD if its KE payload is of another
    group (RFC 7296 1.3), or as `kex.check_public`; may raise ResultPending."""
    if ke is None or ke.group != group:
        got = "no key exchange" if ke is None else f"key exchange {proposals.group_name(ke.group)}"
        text = f"{got}, where {proposals.group_name(group)} is wanted"
        raise PeerError(NotifyType.INVALID_KE_PAYLOAD, text, data=group.to_bytes(2, "big"))
    public = ke.data
    kex.check_public(group, public)
    name = "key exchange", group, public

    def prepare() -> partial[tuple[bytes, Secret]]:
        return partial(_both_steps, kex.generation(group, sa.registry.entropy.random), public)

    return sa.jobs.current.result(name, kex.seconds(group), prepare)


def _both_steps(generate: kex.Generate, public: bytes) -> tuple[bytes, Secret]:
    own = generate()
    return own.public, own.shared(public)
