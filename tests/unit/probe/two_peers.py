"""Two probes on loopback, one of which initiates: each is the other's peer under test."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret
from ikepy.probe.peer import Peer
from ikepy.probe.target import Limits, Target
from ikepy.probe.transport import Transport

LOOPBACK = ip_address("127.0.0.1")
LIMITS = Limits(response_s=5.0, retransmit_s=0.5, quiet_s=0.2, interval_s=0.0)


def free_ports(count: int) -> list[int]:
    """Ports of UDP that are free now."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for sock in socks:
            sock.bind((str(LOOPBACK), 0))
        return [sock.getsockname()[1] for sock in socks]


def targets() -> tuple[Target, Target]:
    """What the initiator takes the responder for, and the other way round."""
    ports = free_ports(4)
    initiator, responder = Identity.parse("i.probe.test"), Identity.parse("r.probe.test")
    assert initiator is not None
    assert responder is not None
    left, right = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24")
    of_initiator = Target(
        LOOPBACK,
        LOOPBACK,
        Secret(b"tu5zIVEMfWRAsC2X"),
        initiator,
        responder,
        left,
        right,
        ip_address("10.1.0.10"),
        ip_address("10.2.0.10"),
        ike="aes128gcm16-prfsha256-x25519",
        esp="aes128gcm16-noesn",
        port=ports[0],
        nat_port=ports[1],
        local_port=ports[2],
        local_nat_port=ports[3],
        limits=LIMITS,
    )
    of_responder = replace(
        of_initiator,
        local_id=responder,
        remote_id=initiator,
        local_net=right,
        remote_net=left,
        local_host=ip_address("10.2.0.10"),
        remote_host=ip_address("10.1.0.10"),
        port=ports[2],
        nat_port=ports[3],
        local_port=ports[0],
        local_nat_port=ports[1],
    )
    return of_initiator, of_responder


@contextlib.asynccontextmanager
async def two_peers() -> AsyncIterator[tuple[Peer, Peer]]:
    """The one that is to initiate, and the one that is to respond."""
    async with contextlib.AsyncExitStack() as stack:
        peers = []
        for target in targets():
            transport = Transport(target)
            transport.open()
            stack.callback(transport.close)
            peer = Peer(target, transport)
            stack.enter_context(transport.listened_by(peer.receiver))
            stack.push_async_callback(peer.close)
            peers.append(peer)
        yield peers[0], peers[1]
