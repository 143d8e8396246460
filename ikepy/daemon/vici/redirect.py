"""Reads the arguments of VICI's `redirect`: which clients are sent to which gateway (RFC 5685 5).

As charon's: `ike`, `ike-id`, `peer-ip` (an address, a network or a range) and `peer-id` (with wildcards);
each that is given has to match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ikepy.config import values
from ikepy.config.identity import Identity
from ikepy.config.model import DnsName
from ikepy.daemon.control.snapshot import IkeSaState
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.message import Decoded, ViciError

ARGUMENTS = ("ike", "ike-id", "peer-ip", "peer-id", "gateway")
Address = IPv4Address | IPv6Address
Includes = Callable[[Address], bool]


def gateway(given: Decoded) -> Address | DnsName:
    """Raises ViciError if it is missing, or neither an address nor a name."""
    word = arguments.text(given, "gateway")
    if word is None:
        raise ViciError("missing target gateway")
    try:
        return values.gateway(word)
    except ValueError as error:
        raise ViciError(f"gateway: {error}") from None


def clients(given: Decoded, states: Iterable[IkeSaState]) -> list[IkeSaState]:
    """The IKE_SAs that match. Raises ViciError if there is no criterion, or one is not understood."""
    ike, ike_id = arguments.text(given, "ike"), arguments.number(given, "ike-id") or None
    peer_ip, peer_id = arguments.text(given, "peer-ip"), arguments.text(given, "peer-id")
    if ike is None and ike_id is None and peer_ip is None and peer_id is None:
        raise ViciError("missing redirect selector")
    places = None if peer_ip is None else _places(peer_ip)
    identity = None if peer_id is None else _identity(peer_id)
    return [
        state
        for state in states
        if ike in (None, state.sa.connection)
        and ike_id in (None, state.sa.ike_id)
        and (places is None or places(state.sa.path.remote.address))
        and (identity is None or (state.sa.remote_id is not None and state.sa.remote_id.matches(identity)))
    ]


def _identity(text: str) -> Identity | None:
    try:
        return Identity.parse(text)
    except ValueError as error:
        raise ViciError(f"peer-id: {error}") from None


def _places(text: str) -> Includes:
    first, dash, last = text.partition("-")
    try:
        if dash:
            low, high = ip_address(first.strip()), ip_address(last.strip())
            if low.version == high.version:
                return lambda one: one.version == low.version and int(low) <= int(one) <= int(high)
        else:
            network = ip_network(text.strip(), strict=False)
            return lambda one: one in network
    except ValueError:
        pass
    raise ViciError(
        'peer-ip must be an address, a network ("192.0.2.0/24") or a range ("192.0.2.1-192.0.2.9")'
    )
