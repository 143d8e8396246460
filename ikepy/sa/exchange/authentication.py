"""Collects what an authentication method needs to know of an IKE_SA (RFC 7296 2.15)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import SignedOctets, maced_id
from ikepy.sa.auth.authenticator import Authenticator, Context, Keyed, OwnPpk, Received
from ikepy.sa.auth.relay import Relayed
from ikepy.sa.auth.resumption import ByTicket
from ikepy.sa.state.auth_round import Claim
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import PayloadType
from ikepy.wire.payloads import IdPayload, Payload


def own_address(sa: IkeSa) -> Identity:
    """Our identity if none is configured: the address."""
    return Identity.of_address(sa.path.local.address)


def own_id(sa: IkeSa) -> Identity:
    """Our identity: the configured one, else that of our certificate, else our address."""
    return sa.connection.local.own_id or own_address(sa)


def expected_id(sa: IkeSa) -> Identity:
    """The identity that we expect as initiator; perhaps a pattern."""
    return sa.connection.remote.id or Identity.of_address(sa.path.remote.address)


def id_payload(type: PayloadType, identity: Identity) -> IdPayload:
    return IdPayload(type, identity.id_type, identity.data)


def own_id_payload(sa: IkeSa, identity: Identity) -> IdPayload:
    return id_payload(PayloadType.ID_I if sa.initiator else PayloadType.ID_R, identity)


def authenticator(sa: IkeSa) -> Authenticator:
    """The authentication method of its connection; of a resumed one, its keys (RFC 5723)."""
    terms = sa.resumption.resumed
    if terms is not None:
        return ByTicket(terms.local_id, terms.remote_id, terms.eap_id, terms.granted, terms.proven_until)
    return sa.registry.authenticator_of(sa.connection)


def keyed(sa: IkeSa, keys: IkeSaKeys) -> Keyed:
    """What AUTH covers under these keys."""
    return Keyed(
        lambda identity: _octets(sa, own_id_payload(sa, identity), keys, ours=True),
        lambda payload: _octets(sa, payload, keys, ours=False),
        (keys.sk_p_local, keys.sk_p_remote),
    )


def context(
    sa: IkeSa,
    remote_id: Identity,
    *,
    known: bool = True,
    keys: IkeSaKeys | None = None,
    ppk: OwnPpk | None = None,
) -> Context:
    """What a method knows of `sa`. `known`: whether a connection is for this peer. `keys`: those that AUTH
    covers, if they are others than its own (RFC 8784). `ppk`: what our first AUTH names."""
    local_id = own_id(sa)
    registry = sa.registry
    covered = keyed(sa, keys or sa.keys)
    return Context(
        registry.secrets,
        registry.entropy.random,
        sa.keys.suite.prf,
        local_id,
        remote_id,
        covered.own(local_id),
        known,
        sa.initiator,
        registry.credentials,
        sa.connecting.announced,
        covered.own,
        covered.peer,
        covered.sk_p,
        None if registry.relay is None else partial(registry.relay.begin, _relayed(sa, remote_id)),
        ppk,
    )


def _relayed(sa: IkeSa, remote_id: Identity) -> Relayed:
    return Relayed(sa.ike_id, sa.connection.name, sa.path, str(remote_id))


def claim(sa: IkeSa, payload: IdPayload, connection: Connection | None) -> Claim:
    """The peer's claim of an identity, by the ID payload of its first IKE_AUTH message."""
    identity = Identity(payload.id_type, payload.data)
    return Claim(identity, payload, connection, sa.registry.generation)


def received(sa: IkeSa, claim: Claim, payloads: Sequence[Payload], keys: IkeSaKeys | None) -> Received:
    """An IKE_AUTH message of the peer in the form that a method takes. `keys`: as in `context`."""
    octets = _octets(sa, claim.payload, keys or sa.keys, ours=False)
    return Received(tuple(payloads), claim.identity, octets, None if keys is None else keyed(sa, keys))


def _octets(sa: IkeSa, payload: IdPayload, keys: IkeSaKeys, *, ours: bool) -> SignedOctets:
    """The octets that the AUTH payload of one end covers; `payload` is its ID payload."""
    connecting = sa.connecting
    init = connecting.init
    if sa.initiator is ours:
        message, nonce = init.request, init.nonce_r
    else:
        message, nonce = init.response, init.nonce_i
    key = keys.sk_p_local if ours else keys.sk_p_remote
    maced = maced_id(keys.suite.prf, key, payload.encode())
    return SignedOctets(message, nonce, maced, connecting.int_auth.octets)
