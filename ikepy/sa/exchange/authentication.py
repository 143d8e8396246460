"""Collects what an authentication method needs to know of an IKE_SA (RFC 7296 2.15)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import SignedOctets, maced_id
from ikepy.sa.auth.authenticator import Authenticator, Context, Received
from ikepy.sa.state.auth_round import Claim
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import PayloadType
from ikepy.wire.payloads import IdPayload, Payload


def own_address(sa: IkeSa) -> Identity:
    """Our identity if none is configured: the address."""
    return Identity.of_address(sa.path.local.address)


def own_id(sa: IkeSa) -> Identity:
    return sa.connection.local.id or own_address(sa)


def expected_id(sa: IkeSa) -> Identity:
    """The identity that we expect as initiator; perhaps a pattern."""
    return sa.connection.remote.id or Identity.of_address(sa.path.remote.address)


def id_payload(type: PayloadType, identity: Identity) -> IdPayload:
    return IdPayload(type, identity.id_type, identity.data)


def own_id_payload(sa: IkeSa, identity: Identity) -> IdPayload:
    return id_payload(PayloadType.ID_I if sa.initiator else PayloadType.ID_R, identity)


def authenticator(sa: IkeSa) -> Authenticator:
    """The authentication method of its connection."""
    return sa.registry.authenticator_of(sa.connection)


def context(sa: IkeSa, remote_id: Identity, *, known: bool = True) -> Context:
    """What a method knows of `sa`. `known`: whether a connection is for this peer."""
    local_id = own_id(sa)
    registry = sa.registry
    return Context(
        registry.secrets,
        registry.entropy.random,
        sa.keys.suite.prf,
        local_id,
        remote_id,
        _octets(sa, own_id_payload(sa, local_id), ours=True),
        known,
    )


def claim(sa: IkeSa, payload: IdPayload, connection: Connection | None) -> Claim:
    """The peer's claim of an identity, by the ID payload of its first IKE_AUTH message."""
    identity, octets = Identity(payload.id_type, payload.data), _octets(sa, payload, ours=False)
    return Claim(identity, octets, connection, sa.registry.generation)


def received(claim: Claim, payloads: Sequence[Payload]) -> Received:
    """An IKE_AUTH message of the peer in the form that a method takes."""
    return Received(tuple(payloads), claim.identity, claim.octets)


def _octets(sa: IkeSa, payload: IdPayload, *, ours: bool) -> SignedOctets:
    """The octets that the AUTH payload of one end covers; `payload` is its ID payload."""
    connecting, keys = sa.connecting, sa.keys
    init = connecting.init
    if sa.initiator is ours:
        message, nonce = init.request, init.nonce_r
    else:
        message, nonce = init.response, init.nonce_i
    key = keys.sk_p_local if ours else keys.sk_p_remote
    return SignedOctets(message, nonce, maced_id(keys.suite.prf, key, payload.encode()), connecting.int_auth)
