"""Which postquantum preshared key an IKE_SA uses, in both roles, and whether it can do without one.

In IKE_AUTH (RFC 8784 3) the keys that AUTH covers depend on it, in IKE_INTERMEDIATE (RFC 9867 3.1) those of
the exchanges that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ikepy.config.model import Connection
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.auth import ppk
from ikepy.sa.auth.authenticator import Failed
from ikepy.sa.message import query
from ikepy.sa.state.ike_keys import IkeSaKeys
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import AuthPayload, Payload

UNKNOWN = "we don't have the postquantum preshared key that it names"

# -- as initiator ----------------------------------------------------------------------------------


def own(sa: IkeSa) -> tuple[bytes, Secret] | None:
    """The PPK that we name: its PPK_ID and itself; None if there is none, or not any more."""
    wanted = sa.connection.ppk_id
    key = None if wanted is None else sa.registry.secrets.ppk(wanted.data)
    return None if wanted is None or key is None else (ppk.id_of(wanted), key)


def own_in_auth(sa: IkeSa) -> tuple[bytes, IkeSaKeys] | None:
    """The PPK_ID that we name in IKE_AUTH, and the keys with that PPK; None: we use none there.

    PeerError if the PPK is not there any more.
    """
    if not sa.connecting.ppk:
        return None
    found = own(sa)
    if found is None:
        text = f"the postquantum preshared key {sa.connection.ppk_id} is not there any more"
        raise PeerError(NotifyType.AUTHENTICATION_FAILED, text)
    return found[0], sa.keys.with_ppk(found[1])


def without(sa: IkeSa) -> list[Effect]:
    """Go on though the peer does not use our PPK. PeerError if the configuration requires it."""
    text = "the peer does not have our postquantum preshared key"
    if sa.connection.ppk_required:
        text += ", and ppk_required = yes"
        raise PeerError(NotifyType.AUTHENTICATION_FAILED, text, fatal=True)
    return [sa.log(Level.WARNING, f"{text}: without it")]


# -- as responder ----------------------------------------------------------------------------------


class Peers(NamedTuple):
    """What follows from what a request says: the keys with the PPK that is used, or the proof that does
    without, or why neither will do. Nothing of it: AUTH covers the keys as they are. `decides`: it is the
    request with AUTH that might name a PPK, the first of them."""

    mixed: IkeSaKeys | None = None
    without: bytes | None = None
    unwilling: Failed | None = None
    decides: bool = False


def required_by_all(sa: IkeSa) -> bool:
    """Whether whoever the peer is, it needs a PPK: it is refused before it says who it is (RFC 9867 3.1)."""
    candidates = sa.connecting.candidates.connections
    return bool(candidates) and all(one.ppk_required for one in candidates)


def peers(sa: IkeSa, connection: Connection | None, payloads: Sequence[Payload]) -> Peers:
    """Which PPK the peer uses (RFC 8784 3, table 1)."""
    required = connection is not None and connection.ppk_required
    if sa.resumption.resumed is not None:
        return Peers()  # its keys come of those that one was mixed into
    if sa.ppk:  # in IKE_INTERMEDIATE (RFC 9867)
        wanted = None if connection is None else connection.ppk_id
        if wanted is not None and ppk.id_of(wanted) != sa.connecting.ppk_id:
            return _unwilling("it uses another postquantum preshared key than ppk_id")
        return Peers()
    if not sa.connecting.ppk:
        if required:
            return _unwilling("it uses no postquantum preshared key, and ppk_required = yes")
        return Peers()
    if sa.auth_round is not None and sa.auth_round.ppk:
        return Peers(mixed=sa.auth_round.mixed)
    if query.maybe(payloads, AuthPayload) is None:
        return Peers()  # EAP: a later request has them
    offer = ppk.offer(payloads)
    if offer is None:
        return _unwilling("it names no postquantum preshared key, though it announced one")
    secret = None
    if connection is not None and (connection.ppk_id is None or ppk.id_of(connection.ppk_id) == offer.ppk_id):
        secret = sa.registry.secrets.ppk(offer.ppk_id[1:])
    if secret is not None:
        return Peers(mixed=sa.keys.with_ppk(secret), decides=True)
    if required or offer.without is None:
        return _unwilling(UNKNOWN)
    return Peers(without=offer.without, decides=True)


def _unwilling(why: str) -> Peers:
    return Peers(unwilling=Failed(why))
