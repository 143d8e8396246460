"""SGW.R.2.1.2, 2.2.1: an end node asks for an address of the remote network (RFC 7296 2.19, 3.15).

The peer has a pool for those who come with the identity `config`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from ikepy.probe.child import Child
from ikepy.probe.draft import Draft, RawPayload, raw
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.target import Address, selector
from ikepy.probe.verdict import NotApplicable
from ikepy.wire.constants import CfgType, ConfigAttribute, NotifyType, PayloadType
from ikepy.wire.payloads import Attribute, CpPayload

_ADDRESS = {4: ConfigAttribute.INTERNAL_IP4_ADDRESS, 6: ConfigAttribute.INTERNAL_IP6_ADDRESS}
_SIZE = {4: 4, 6: 17}  # octets of an address attribute's value


async def _ask(
    peer: Peer, *attributes: Attribute, reserved: bool = False, plain: bool = False
) -> tuple[IkeSa, Draft, Received]:
    """IKE_AUTH that asks for these attributes (`plain`: for nothing), with selectors for any address."""
    sa = await peer.init(peer.new_sa(peer.as_identity("config")))
    anywhere = selector(ip_network("::/0" if peer.target.host.version == 6 else "0.0.0.0/0"))
    cp: CpPayload | RawPayload = CpPayload(CfgType.REQUEST, attributes)
    if reserved:
        body = bytearray(cp.encode())
        body[1:4] = b"\xff\xff\xff"
        for at in range(4, len(body), 4):  # each attribute is empty here: a header with a reserved bit
            body[at] |= 0x80
        cp = raw(cp, body=bytes(body), reserved=0x7F)
    child = sa.child_payloads(ts_i=[anywhere])
    request = sa.auth_request(child=child, extra=[] if plain else [cp])
    got = await peer.ask(request, what="an IKE_AUTH response")
    peer.lacking(got, "requests for addresses", NotifyType.INTERNAL_ADDRESS_FAILURE)
    sa.established = True
    return sa, request, got


def _wanted(peer: Peer) -> Attribute:
    return Attribute(_ADDRESS[peer.target.host.version])


def _granted(peer: Peer, got: Received) -> list[Address]:
    """The addresses of a CFG_REPLY, whose format is judged. `NotApplicable` where there is no CP payload."""
    version = peer.target.host.version
    found = got.generic_of(PayloadType.CP)
    reply = got.maybe(CpPayload)
    if found is None or reply is None:
        raise NotApplicable(f"the peer gives no addresses: {got}")
    peer.check(reply.cfg_type == CfgType.REPLY, "CFG_REPLY (2)", reply.cfg_type)
    peer.check(found.body[1:4] == bytes(3), "RESERVED 0 in CP", found.body[1:4].hex())
    values = [one.value for one in reply.attributes if one.type == _ADDRESS[version]]
    peer.check(values, f"an attribute {_ADDRESS[version].name}", got)
    for value in values:
        peer.check(len(value) == _SIZE[version], f"{_SIZE[version]} octets of address", len(value))
    return [IPv4Address(one) if version == 4 else IPv6Address(one[:16]) for one in values]


async def _use(peer: Peer, child: Child, addresses: list[Address]) -> None:
    for address in addresses:
        await peer.ping(child, source=address)


@case("SGW.R.2.1.2.1", rfc="RFC 7296 3.15", group="ADVANCED")
async def cfg_request(peer: Peer) -> None:
    """Receipt of CFG_REQUEST."""
    _, _, got = await _ask(peer, _wanted(peer))
    _granted(peer, got)


@case("SGW.R.2.1.2.2", rfc="RFC 7296 2.19", group="ADVANCED")
async def use_of_child(peer: Peer) -> None:
    """Use of CHILD_SA with an internal address."""
    peer.echo_hosts()
    sa, request, got = await _ask(peer, _wanted(peer))
    addresses = _granted(peer, got)
    await _use(peer, sa.take_auth_response(got, request), addresses)


@case("SGW.R.2.1.2.3", rfc="RFC 7296 2.5, 3.15", group="ADVANCED")
async def reserved(peer: Peer) -> None:
    """Non-zero RESERVED fields in Configuration payload."""
    _, _, got = await _ask(peer, _wanted(peer), reserved=True)
    _granted(peer, got)


@case("SGW.R.2.1.2.4", rfc="RFC 7296 2.19", group="ADVANCED")
async def no_configuration_payload(peer: Peer) -> None:
    """No Configuration payload where the peer wants one."""
    _, _, got = await _ask(peer, plain=True)
    if got.error is None:
        raise NotApplicable("the peer does not insist on a Configuration payload")
    refusals = NotifyType.FAILED_CP_REQUIRED, NotifyType.TS_UNACCEPTABLE
    peer.check_notify(got, *refusals)


@case("SGW.R.2.1.2.5", rfc="RFC 7296 3.15.1", group="ADVANCED")
async def several(peer: Peer) -> None:
    """Receipt of multiple CFG_REQUEST: two addresses asked for, one or two given."""
    peer.echo_hosts()
    sa, request, got = await _ask(peer, _wanted(peer), _wanted(peer))
    addresses = _granted(peer, got)
    peer.check(len(addresses) in (1, 2), "one or two addresses", len(addresses))
    await _use(peer, sa.take_auth_response(got, request), addresses)


@case("SGW.R.2.2.1.1", rfc="RFC 7296 3.15.4", group="ADVANCED")
async def other_version(peer: Peer) -> None:
    """Sending a request for addresses of both IP versions, of which the peer has one."""
    other = _ADDRESS[10 - peer.target.host.version]
    _, _, got = await _ask(peer, Attribute(other), _wanted(peer))
    _granted(peer, got)
    reply = got.maybe(CpPayload)
    types = [one.type for one in reply.attributes] if reply is not None else []
    peer.check(other not in types, f"no attribute {other.name}", got)
