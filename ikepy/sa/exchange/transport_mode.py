"""Transport mode: its notify, and the addresses of its traffic selectors (RFC 7296 1.3.1, 2.23.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from esp.packet.selectors import Selector, narrow
from ikepy.errors import PeerError
from ikepy.sa.api.path import Address
from ikepy.sa.message import query
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

NOTIFY = NotifyPayload(NotifyType.USE_TRANSPORT_MODE)


def asked_for(payloads: Sequence[Payload]) -> bool:
    """Whether a request asks for transport mode, or a response grants it."""
    return query.notify(payloads, NotifyType.USE_TRANSPORT_MODE) is not None


def own_addresses(sa: IkeSa, configured: Selectors) -> Selectors:
    """What the configured selectors leave of the IKE_SA's own addresses: there is one on each side. All of
    them if that is nothing, which no peer will take."""
    local = narrow(configured.local, (_only(sa.path.local.address),))
    remote = narrow(configured.remote, (_only(sa.path.remote.address),))
    return Selectors(local, remote) if local and remote else configured


def substituted(sa: IkeSa, ts: Selectors) -> Selectors:
    """The peer's selectors, with the addresses of the IKE_SA where an end is behind a NAT: the peer knows
    other ones (RFC 7296 2.23.1)."""
    local = _with(ts.local, sa.path.local.address) if sa.nat.local else ts.local
    remote = _with(ts.remote, sa.path.remote.address) if sa.nat.remote else ts.remote
    return Selectors(local, remote)


def check(ts: Selectors) -> None:
    """PeerError TS_UNACCEPTABLE unless both sides hold one address each (RFC 7296 2.23.1)."""
    for side in (ts.local, ts.remote):
        if len({(one.version, one.first, one.last) for one in side}) != 1 or side[0].first != side[0].last:
            raise PeerError(
                NotifyType.TS_UNACCEPTABLE, "transport mode takes selectors of one address on each side"
            )


def _with(selectors: Sequence[Selector], address: Address) -> tuple[Selector, ...]:
    number = int(address)
    changed = (
        replace(one, version=address.version, first=number, last=number) if one.first == one.last else one
        for one in selectors
    )
    return tuple(dict.fromkeys(changed))


def _only(address: Address) -> Selector:
    return Selector(address.version, int(address), int(address))
