"""Which connection a peer belongs to: by addresses at first, by identities in IKE_AUTH."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ikepy.config.identity import Identity
from ikepy.config.model import Config, Connection
from ikepy.wire.proposal import Proposal

from . import proposals
from .path import Address, Path


def candidates(config: Config, path: Path) -> list[Connection]:
    """The connections whose addresses permit this path, those that name the addresses first."""
    scored = [
        (score, connection)
        for connection in config.connections.values()
        if (score := _score(connection, path)) is not None
    ]
    scored.sort(key=lambda pair: -pair[0])
    return [connection for _, connection in scored]


def _score(connection: Connection, path: Path) -> int | None:
    local = _address_score(connection.local_addrs, path.local.address)
    remote = _address_score(connection.remote_addrs, path.remote.address)
    return None if local is None or remote is None else local + 4 * remote


def permits(patterns: Iterable[object], address: Address) -> bool:
    """Whether one of a connection's addresses is `address`, holds it, or may be any."""
    return _address_score(patterns, address) is not None


def _address_score(patterns: Iterable[object], address: Address) -> int | None:
    """3: named, 2: in a network, 1: a host name (which we don't resolve here), 0: any; None: no match."""
    best: int | None = None
    for pattern in patterns:
        score: int | None = None
        if isinstance(pattern, IPv4Address | IPv6Address):
            score = 3 if pattern == address else None
        elif isinstance(pattern, IPv4Network | IPv6Network):
            score = 2 if address in pattern else None
        else:
            score = 0 if pattern == "%any" else 1
        if score is not None and (best is None or score > best):
            best = score
    return best


def match(
    connections: Sequence[Connection],
    chosen: Proposal,
    id_r: Identity | None,
    id_i: Identity,
    local_address: Address,
) -> Connection | None:
    """The connection of a peer that says it is `id_i` and asks for `id_r`; exact identities first.

    Only connections that permit the IKE proposal in use count.
    """
    best: tuple[int, Connection] | None = None
    for connection in connections:
        local_id = connection.local.id or Identity.of_address(local_address)
        remote = connection.remote.id
        if id_r is not None and id_r != local_id:
            continue
        if remote is not None and not id_i.matches(remote):
            continue
        if proposals.select(connection.proposals, [chosen]) is None:
            continue
        score = 0 if remote is None else 1 if remote.is_pattern else 2
        if best is None or score > best[0]:
            best = score, connection
    return None if best is None else best[1]
