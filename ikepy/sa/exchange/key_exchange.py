"""Runs key exchanges (RFC 7296 2.12, 2.14); each step is a job that another process may compute.

A chosen proposal asks for a list of them (`proposals.key_exchanges`). The public values of the
first one are in the KE payloads of the exchange that negotiates it, those of any other in one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import KePayload, Payload
from ikepy.wire.proposal import Proposal


class MethodChoice:
    """The method of our KE payload: the first proposed, or what the peer asks for (RFC 7296 1.2, 1.3)."""

    def __init__(self) -> None:
        self._asked: int | None = None

    def of(self, offered: Sequence[Proposal]) -> int | None:
        """The method of the next request; None: it has no key exchange."""
        return self._asked or proposals.first_key_exchange(offered[0])

    def follow(self, payloads: Sequence[Payload], offered: Sequence[Proposal]) -> int | None:
        """The one that INVALID_KE_PAYLOAD asks for, once, if it was offered; anything else is a refusal."""
        notify = query.notify(payloads, NotifyType.INVALID_KE_PAYLOAD)
        if notify is None or self._asked is not None:
            return None
        method = int.from_bytes(notify.data, "big")
        if method not in proposals.groups(offered):
            return None
        self._asked = method
        return method


def begin(sa: IkeSa, method: int) -> Begun:
    """Begin a key exchange for a request of ours. May raise ResultPending."""
    of, random = registry.method(method), sa.registry.entropy.random
    return sa.jobs.current.result(("key pair", method), of.seconds / 2, lambda: of.begin(random))


def finish(
    sa: IkeSa, own: Begun | None, wanted: int | None, payloads: Sequence[Payload], *, fatal: bool = False
) -> Secret:
    """The secret of the key exchange that we began with `own`; `wanted`: the method that was agreed on.

    PeerError (`fatal` as told) if the response is for another one, or as `KeyExchange.check_responder`; may
    raise ResultPending.
    """
    ke = query.must(payloads, KePayload)
    if own is None or not ke.group == own.method.id == wanted:
        text = "the peer's key exchange is not the one it chose"
        raise PeerError(NotifyType.INVALID_SYNTAX, text, fatal=fatal)
    method, public = own.method, ke.data
    method.check_responder(public)
    name = "secret", method.id, public
    secret = sa.jobs.current.result(name, method.seconds / 2, lambda: lambda: own.finish(public))
    sa.registry.key_log.shared_secret(own.public, public, secret)
    return secret


def answer(sa: IkeSa, wanted: int, payloads: Sequence[Payload]) -> tuple[KePayload, Secret]:
    """Our KE payload and the secret of a key exchange; `wanted`: the method that was agreed on.

    PeerError INVALID_KE_PAYLOAD if the request has another one (RFC 7296 1.3), or as
    `KeyExchange.check_initiator`; may raise ResultPending.
    """
    ke = query.maybe(payloads, KePayload)
    if ke is None or ke.group != wanted:
        got = "no key exchange" if ke is None else f"key exchange {proposals.group_name(ke.group)}"
        text = f"{got}, where {proposals.group_name(wanted)} is wanted"
        raise PeerError(NotifyType.INVALID_KE_PAYLOAD, text, data=wanted.to_bytes(2, "big"))
    method, public, random = registry.method(wanted), ke.data, sa.registry.entropy.random
    method.check_initiator(public)
    name = "key exchange", wanted, public
    own, secret = sa.jobs.current.result(name, method.seconds, lambda: method.respond(random, public))
    sa.registry.key_log.shared_secret(public, own, secret)
    return KePayload(wanted, own), secret
