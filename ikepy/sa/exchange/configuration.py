"""The configuration payload: virtual addresses, DNS, networks, in both roles (RFC 7296 2.19, 3.15).

In IKE_AUTH, as initiator, `request`, then `missing` and `take` with the peer's reply; as responder `grant`,
then `reply`. A client may also ask along with a further child, or in an INFORMATIONAL exchange: `answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_interface
from typing import TypeVar

from esp.packet.selectors import Selector
from ikepy.config.identity import MAX_LENGTH
from ikepy.config.model import Child
from ikepy.errors import PeerError, WireError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Address
from ikepy.sa.auth import words
from ikepy.sa.exchange import transport_mode
from ikepy.sa.message import query
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.wire import attributes
from ikepy.wire.attributes import EncryptedDns, Network
from ikepy.wire.constants import CfgType, ConfigAttribute, NotifyType
from ikepy.wire.payloads import Attribute, CpPayload, NotifyPayload, Payload
from ikepy.wire.payloads.configuration import MAX_ATTRIBUTES

T = TypeVar("T")
Type = ConfigAttribute

MOST_SERVERS = 16  # DNS servers and domains of a reply; more are left out
MOST_SUBNETS = 64
# What is told only to peers that ask for it (RFC 8598 3.2, RFC 9464 4).
ASKED_ONLY = frozenset(
    {
        Type.INTERNAL_DNS_DOMAIN,
        Type.INTERNAL_DNSSEC_TA,
        Type.ENCDNS_IP4,
        Type.ENCDNS_IP6,
        Type.ENCDNS_DIGEST_INFO,
    }
)
_ABOUT_US = frozenset({Type.APPLICATION_VERSION, Type.SUPPORTED_ATTRIBUTES})
EVERYTHING = {4: Selector.of("0.0.0.0/0"), 6: Selector.of("::/0")}


# -- both roles ------------------------------------------------------------------------------------


def configured(sa: IkeSa, config: Child) -> Selectors:
    """The configured selectors of a child; "dynamic" stands for virtual addresses, else for those of IKE.

    Until we have a virtual address, it is any: the peer narrows it. Of the pools, a peer has but its leases.
    Transport mode has IKE's own addresses alone.
    """
    if config.transport:
        path = sa.path
        found = Selectors(
            config.local_selectors(path.local.address), config.remote_selectors(path.remote.address)
        )
        return transport_mode.own_addresses(sa, found)
    vips = sa.connection.vips
    if sa.initiator and vips and sa.phase in (Phase.CREATED, Phase.CONNECTING):
        every = tuple(EVERYTHING[version] for version in dict.fromkeys(one.version for one in vips))
        local = tuple(s for one in config.local_ts for s in (every if isinstance(one, str) else (one,)))
    else:
        local = config.local_selectors(*sa.local_addresses)
    return Selectors(local, _confined(sa, config.remote_selectors(*sa.remote_addresses)))


def _confined(sa: IkeSa, selectors: tuple[Selector, ...]) -> tuple[Selector, ...]:
    """Without the addresses of pools that are not the peer's own."""
    if not sa.connection.pools:
        return selectors
    pools = [
        Selector(one.version, int(one.first), int(one.last))
        for one in sa.registry.pools.covers(sa.connection.pools)
    ]
    own = [Selector(one.version, int(one), int(one)) for one in sa.network.leases]
    confined: dict[Selector, None] = {}
    for one in selectors:
        if any(one.intersection(pool) is not None for pool in pools):
            confined.update((part, None) for lease in own if (part := one.intersection(lease)) is not None)
        else:
            confined[one] = None
    return tuple(confined)


def check_granted(sa: IkeSa) -> None:
    """PeerError FAILED_CP_REQUIRED for a peer that must have an address of a pool, and has none (2.19)."""
    if sa.connection.pools and not sa.network.leases and not sa.initiator:
        text = "it has to ask for a virtual address before it gets a child"
        raise PeerError(NotifyType.FAILED_CP_REQUIRED, text)


def _attributes(payloads: Sequence[Payload], cfg_type: CfgType) -> tuple[Attribute, ...] | None:
    payload = query.maybe(payloads, CpPayload)
    return payload.attributes if payload is not None and payload.cfg_type == cfg_type else None


def _read(given: Sequence[Attribute], types: Sequence[int], read: Callable[[bytes], T]) -> Iterator[T]:
    """The values of attributes of these types; those that are malformed are ignored, as unknown ones are."""
    for one in given:
        if one.type in types and one.value:
            try:
                yield read(one.value)
            except WireError:
                continue


# -- responder -------------------------------------------------------------------------------------


def grant(sa: IkeSa, request: Sequence[Payload]) -> tuple[list[Effect], PeerError | None]:
    """Give an authenticated peer the addresses that it asks for, if we have any: one of an IP version.

    It gets what it has, what an AAA server grants it, what it had before, or what it wishes for, if that is
    nobody's. An error is about the child alone (3.15.4).
    """
    asked, owner = _attributes(request, CfgType.REQUEST), sa.lessee
    has: dict[int, Address] = {one.version: one for one in sa.network.leases}
    names = sa.connection.pools
    framed: dict[int, Address] = {one.version: one for one in sa.granted.addresses}
    if asked is None or owner is None or not (names or framed):
        return [], None
    if len(owner.data) > MAX_LENGTH:  # leases are kept long after their IKE_SAs
        text = f"whose identity has more than {MAX_LENGTH} bytes is given no address"
        return [], PeerError(NotifyType.INTERNAL_ADDRESS_FAILURE, text)
    versions = [
        version for version in (4, 6) if any(one.type == attributes.ADDRESS[version] for one in asked)
    ]
    leases = dict(has)
    for version in (one for one in versions if one not in has):
        wishes = _read(asked, (attributes.ADDRESS[version],), attributes.read_internal_address)
        wish = next((one for one in wishes if one.version == version), None)
        found = framed.get(version) or sa.registry.pools.choose(names, owner, version, wish, _may_follow(sa))
        leases.update({} if found is None else {version: found})
    if leases == has and not any(version in has for version in versions):
        if not versions:
            return [], None  # `check_granted` says so
        what = " and ".join(f"IPv{version}" for version in versions)
        text = f"no {what} address is left in {', '.join(names)}"
        return [], PeerError(NotifyType.INTERNAL_ADDRESS_FAILURE, text)
    if leases == has:
        return [], None
    text = f"{', '.join(map(str, leases.values()))} is given to {words.identity(owner)}"
    settings = replace(sa.network, leases=tuple(leases.values()))
    return [*sa.set_network(settings), sa.log(Level.INFO, text)], None


def answer(sa: IkeSa, request: Sequence[Payload]) -> tuple[list[Effect], list[Payload]]:
    """The answer to a configuration payload of an INFORMATIONAL request (2.19, 2.20, 3.15.1).

    Whoever asks gets what a client of ours may have; the version is none of its business. We let nobody set
    anything.
    """
    if _attributes(request, CfgType.SET) is not None:
        return [], [CpPayload(CfgType.ACK)]
    asked = _attributes(request, CfgType.REQUEST)
    if asked is None:
        return [], []
    types = {one.type for one in asked}
    effects, refusal, found = list[Effect](), None, list[Payload]()
    if not sa.set_up.ours and sa.phase is Phase.ESTABLISHED and types - _ABOUT_US:
        effects, refusal = grant(sa, request)
        found = reply(sa, request)
    if refusal is not None:
        return effects, [NotifyPayload(refusal.notify)]
    if not found:
        known = [attributes.of_supported()] if Type.SUPPORTED_ATTRIBUTES in types else []
        found = [CpPayload(CfgType.REPLY, tuple(known))]
    if Type.APPLICATION_VERSION in types:
        found = [
            replace(one, attributes=(*one.attributes, Attribute(Type.APPLICATION_VERSION)))
            for one in found
            if isinstance(one, CpPayload)
        ]
    return effects, found


def _may_follow(sa: IkeSa) -> Callable[[int], bool]:
    """Whether `sa` may have an address that an IKE_SA uses: it comes from the same place, to replace it, or
    has resumed it from another one (RFC 5723 5, note 5)."""
    terms = sa.resumption.resumed
    before = None if terms is None or not terms.old_spi else sa.registry.by_spi.get(terms.old_spi)

    def may_follow(ike_id: int) -> bool:
        other = sa.registry.sas.get(ike_id)
        return other is None or other is before or other.path.remote == sa.path.remote

    return may_follow


def reply(sa: IkeSa, request: Sequence[Payload]) -> list[Payload]:
    """CFG_REPLY with what `grant` has given, and what its pools tell besides; none without an address."""
    asked = _attributes(request, CfgType.REQUEST)
    leases = sa.network.leases
    if asked is None or not leases:
        return []
    types = {one.type for one in asked}
    answer = [attributes.of_internal_address(one) for one in leases]
    answer += [attributes.of_address(attributes.DNS, one) for one in sa.granted.dns_servers]
    pools = (sa.registry.pools.pool_of(sa.connection.pools, lease) for lease in leases)
    for pool in dict.fromkeys(pool.name for pool in pools if pool is not None):
        told = sa.registry.config.pools[pool].told
        answer += [one for one in told if one.type not in ASKED_ONLY or one.type in types]
    if Type.SUPPORTED_ATTRIBUTES in types:
        answer.append(attributes.of_supported())
    return [CpPayload(CfgType.REPLY, tuple(dict.fromkeys(answer))[:MAX_ATTRIBUTES])]


# -- initiator -------------------------------------------------------------------------------------


def request(sa: IkeSa) -> list[Payload]:
    """CFG_REQUEST for our virtual addresses; what an older IKE_SA of it has is asked for again."""
    vips = sa.connection.vips
    if not vips:
        return []
    had = {one.version: one.ip for other in sa.registry.others(sa) for one in other.network.addresses}
    asked: dict[Attribute, None] = {}
    for vip in vips:
        wanted = had.pop(vip.version, None) if vip.is_unspecified else vip
        empty = Attribute(attributes.ADDRESS[vip.version])
        asked[empty if wanted is None else attributes.of_internal_address(wanted)] = None
    for version in dict.fromkeys(vip.version for vip in vips):
        kinds = (attributes.DNS, attributes.SUBNET, attributes.ENCRYPTED_DNS)
        asked.update((Attribute(types[version]), None) for types in kinds)
    asked[Attribute(Type.INTERNAL_DNS_DOMAIN)] = None
    return [CpPayload(CfgType.REQUEST, tuple(asked))]


def missing(sa: IkeSa, payloads: Sequence[Payload]) -> str:
    """Why we can't go on without the address that we asked for; "" if we have one, or did not ask."""
    if not sa.connection.vips or _addresses(sa, payloads):
        return ""
    error = query.error(payloads)
    why = "" if error is None else f": {query.error_name(error)}"
    return f"the peer gives us no virtual address{why}"


def take(sa: IkeSa, payloads: Sequence[Payload]) -> list[Effect]:
    """Have our device have what the peer's CFG_REPLY gives us."""
    given = _attributes(payloads, CfgType.REPLY) or ()
    addresses = _addresses(sa, payloads)
    if not addresses:
        return []
    dns = [*_read(given, tuple(attributes.DNS.values()), attributes.read_address)]
    domains = [*_read(given, (Type.INTERNAL_DNS_DOMAIN,), attributes.read_domain)]
    resolvers = [
        f"{one.name} {' '.join(map(str, one.addresses))}".strip()
        for version, type in attributes.ENCRYPTED_DNS.items()
        for one in _read(given, (type,), _resolver(version))
    ]
    settings = NetworkSettings(
        addresses=tuple(ip_interface(one) for one in addresses),
        subnets=tuple(dict.fromkeys(_subnets(sa, given)))[:MOST_SUBNETS],
        dns_servers=tuple(dict.fromkeys(dns))[:MOST_SERVERS],
        domains=tuple(dict.fromkeys(domains))[:MOST_SERVERS],
        encrypted_dns=tuple(dict.fromkeys(resolvers))[:MOST_SERVERS],
    )
    told = sa.log(Level.INFO, f"we are given {', '.join(map(str, addresses))}")
    return [*sa.set_network(settings), told]


def _resolver(version: int) -> Callable[[bytes], EncryptedDns]:
    return lambda value: EncryptedDns.read(version, value)


def _addresses(sa: IkeSa, payloads: Sequence[Payload]) -> list[Address]:
    """The addresses that the peer gives us: at most as many of an IP version as we asked for."""
    given = _attributes(payloads, CfgType.REPLY) or ()
    found = dict.fromkeys(_read(given, tuple(attributes.ADDRESS.values()), attributes.read_internal_address))
    kept: list[Address] = []
    for address in filter(lambda one: _usable(sa, one), found):
        asked = sum(vip.version == address.version for vip in sa.connection.vips)
        if sum(one.version == address.version for one in kept) < asked:
            kept.append(address)
    return kept


def _usable(sa: IkeSa, address: Address) -> bool:
    """Whether it can be a host's inside the tunnel, and is none that IKE itself needs."""
    unfit = address.is_unspecified or address.is_multicast or address.is_loopback or address.is_reserved
    return not unfit and address not in (sa.path.local.address, sa.path.remote.address)


def _subnets(sa: IkeSa, given: Sequence[Attribute]) -> Iterator[Network]:
    """The networks that the peer names and our children may reach; none if the configuration has the routes.

    Everything (0.0.0.0/0) only the configuration can route.
    """
    if sa.connection.vti.routes is not None:
        return
    named = [*_read(given, tuple(attributes.SUBNET.values()), attributes.read_subnet)]
    named += [
        one
        for several in _read(given, (Type.UNITY_SPLIT_INCLUDE,), attributes.read_unity_networks)
        for one in several
    ]
    permitted = [
        one
        for child in sa.connection.children.values()
        for one in child.remote_selectors(*sa.remote_addresses)
    ]
    for network in named:
        if network.prefixlen and any(one.contains(Selector.of(network)) for one in permitted):
            yield network
