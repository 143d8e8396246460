"""A gateway in the test's own process, impaired or not, and a transport that leads to it without sockets.

It is the real IKE machine with the real ESP SAs; a host behind it answers echo requests.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from esp.packet.policy import Policy
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from ikepy.config.identity import Identity
from ikepy.config.model import Config, Connection
from ikepy.config.toml_source import parse
from ikepy.crypto.secret import Secret
from ikepy.daemon.effects.entropy import SystemEntropy
from ikepy.impair.active import Active
from ikepy.impair.machine import ImpairedMachine
from ikepy.impair.packets import outbound_sa
from ikepy.probe import peer_config
from ikepy.probe.child import echo_reply, parse_inner
from ikepy.probe.listen.profile import Action, Profile
from ikepy.probe.listen.under_test import next_host
from ikepy.probe.registry import Case
from ikepy.probe.runner import Result, run_case
from ikepy.probe.target import Limits, Target
from ikepy.probe.transport import Datagram, Transport
from ikepy.probe.verdict import NotApplicable
from ikepy.sa.api.commands import Command, Initiate, Rekey
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Compute,
    Effect,
    InstallInbound,
    InstallOutbound,
    LookUp,
    RemoveChild,
    RemoveOutbound,
    Send,
)
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.wire.constants import NON_ESP_MARKER

PSK = "0xabadcafeabadcafeabadcafeabadcafe"


def identity(text: str) -> Identity:
    found = Identity.parse(text)
    assert found is not None
    return found


TARGET = Target(
    host=ip_address("192.0.2.2"),
    local=ip_address("192.0.2.1"),
    psk=Secret(bytes.fromhex(PSK[2:])),
    local_id=identity("192.0.2.1"),
    remote_id=identity("192.0.2.2"),
    local_net=ip_network("10.1.0.0/24"),
    remote_net=ip_network("10.2.0.0/24"),
    local_host=ip_address("10.1.0.1"),
    remote_host=ip_address("10.2.0.1"),
    limits=Limits(response_s=5.0, retransmit_s=1.0, quiet_s=0.2, interval_s=0.0, case_s=30.0),
    identities={"config": identity("config.probe.test")},
)
DAEMON = """
[daemon]
impairments_allowed = true
retransmit_timeout = 0.3
retransmit_base = 1.5
retransmit_tries = 2
retransmit_jitter = 0
old_secret_grace = 0
keep_alive = 0
"""


def responder(target: Target = TARGET) -> Config:
    """What a responder under test is configured for."""
    return parse(peer_config.ikepy(target).replace(peer_config.SECRET, PSK) + DAEMON)


def initiator(profile: Profile, target: Target = TARGET) -> Config:
    """What an initiator under test is configured for."""
    if "pubkey" in (profile.auth, profile.remote_auth):
        raise NotApplicable("there are no certificates here")
    first, *second = _remote_nets(profile, target)
    own_net = str(target.remote_net)
    lives = "rekey_time = 0\n"
    if profile.ike_sa is not None:
        over = profile.ike_sa.end_s - profile.ike_sa.rekey_s
        lives = f"rekey_time = {profile.ike_sa.rekey_s}\nover_time = {over}\nrand_time = 0\n"
    children = "".join(
        f"[connections.net.children.second]\nlocal_ts = {json.dumps([own_net])}\n"
        f"remote_ts = {json.dumps([net])}\nesp_proposals = {json.dumps(profile.esp)}\n"
        for net in second
    )
    child_lives = "rekey_time = 0\n"
    if profile.child is not None:
        times = profile.child
        child_lives = f"rekey_time = {times.rekey_s}\nlife_time = {times.end_s}\nrand_time = 0\n"
    text = f"""
[connections.net]
local_addrs = ["{target.host}"]
remote_addrs = ["{target.local}"]
proposals = {json.dumps(profile.ike)}
mobike = false
encap = true
keyingtries = 1
{lives}
[connections.net.local]
id = "{profile.local_id or target.remote_id}"
[connections.net.remote]
id = "{profile.remote_id or target.local_id}"
[connections.net.children.net]
local_ts = {json.dumps([own_net])}
remote_ts = {json.dumps([first])}
esp_proposals = {json.dumps(profile.esp)}
{child_lives}{children}
[secrets.ike]
secret = "{profile.secret or PSK}"
"""
    return parse(text + DAEMON)


def _remote_nets(profile: Profile, target: Target) -> list[str]:
    """The probe's selectors, of the first child and of the second, which not all profiles have."""
    if profile.endpoint:
        return [str(target.local)]
    if profile.narrow:
        return [str(target.local_host), str(next_host(target.local_host, target.local_net))]
    return [str(target.local_net)]


@dataclass(slots=True)
class _Outbound:
    sa: OutboundSa
    policy: Policy
    standby: bool


class Gateway:
    """What stands at the target's host. `transport`: where its packets go."""

    def __init__(self, target: Target, config: Config, impairments: Sequence[str] = ()) -> None:
        self.transport: MemoryTransport | None = None
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._inbound: dict[int, tuple[int, InboundSa]] = {}  # by SPI, with the child_id
        self._outbound: dict[int, _Outbound] = {}  # by child_id, the oldest first
        self._outbound_sa = outbound_sa(impairments)
        self._timer: asyncio.TimerHandle | None = None
        self.machine = ImpairedMachine(
            Active(config, impairments),
            config,
            SystemEntropy(1, lambda connection: 0, lambda: self._inbound),
            resolve=self._resolve,
        )

    def _resolve(self, connection: Connection, failed: object) -> tuple[Address, Address]:
        return self._target.host, self._target.local

    def request(self, command: Command) -> None:
        """What an operator asks for."""
        self._drive(lambda now: self.machine.request(command, now))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.transport = None

    def take(self, octets: bytes, path: Path) -> None:
        """A datagram came, with the non-ESP marker on the port for NATs."""
        if self.transport is None:
            return
        if path.local.port == self._target.port:
            self._drive(lambda now: self.machine.receive(octets, path, now))
        elif octets.startswith(NON_ESP_MARKER):
            self._drive(lambda now: self.machine.receive(octets[len(NON_ESP_MARKER) :], path, now))
        else:
            self._take_esp(octets, path)

    def _drive(self, call: Callable[[float], Sequence[Effect]]) -> None:
        now = self._loop.time()
        waiting = list(call(now))
        while waiting:
            waiting += self._perform(waiting.pop(0), now)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.machine.deadline
        self._timer = (
            None if deadline is None else self._loop.call_at(deadline, self._drive, self.machine.tick)
        )

    def _perform(self, effect: Effect, now: float) -> Sequence[Effect]:
        match effect:
            case Send():
                self._send(effect)
            case Compute():
                return self.machine.complete(effect.ticket, _outcome(effect), now)
            case LookUp():
                return self.machine.complete(effect.ticket, None, now)
            case InstallInbound():
                policy = Policy(effect.ts_local, effect.ts_remote)
                sa = InboundSa(
                    effect.spi, effect.suite, effect.keys.expose(), effect.esn, effect.replay_window, policy
                )
                self._inbound[effect.spi] = effect.child_id, sa
            case InstallOutbound():
                way = self._outbound_sa(effect.spi, effect.suite, effect.keys.expose(), effect.esn)
                policy = Policy(effect.ts_remote, effect.ts_local)  # of a packet that leaves
                self._outbound[effect.child_id] = _Outbound(way, policy, effect.standby)
            case ActivateOutbound():
                if effect.child_id in self._outbound:
                    self._outbound[effect.child_id].standby = False
            case RemoveOutbound():
                self._outbound.pop(effect.child_id, None)
            case RemoveChild():
                self._outbound.pop(effect.child_id, None)
                self._inbound = {spi: one for spi, one in self._inbound.items() if one[0] != effect.child_id}
            case _:
                pass
        return ()

    def _send(self, effect: Send) -> None:
        if self.transport is not None:
            marked = effect.path.local.port == self._target.nat_port
            self.transport.arrive(effect.path.remote.port, (NON_ESP_MARKER if marked else b"") + effect.data)

    def _take_esp(self, octets: bytes, path: Path) -> None:
        spi = int.from_bytes(octets[:4])
        found = self._inbound.get(spi)
        if found is None:
            self._drive(lambda now: self.machine.unknown_spi(spi, path, now))
            return
        child_id, sa = found
        opened = sa.open_batch([memoryview(bytearray(octets))])
        outbound = self._outbound.get(child_id)
        if opened.valid and outbound is not None:
            outbound.standby = False
        for packet in opened.packets:
            self._answer(bytes(packet))

    def _answer(self, packet: bytes) -> None:
        """The host behind us answers an echo request."""
        inner = parse_inner(packet)
        if inner is None or not inner.is_request or inner.destination != self._target.remote_host:
            return
        reply = memoryview(echo_reply(inner))
        ways = [
            one for one in self._outbound.values() if one.policy.permits_inbound(reply) and not one.standby
        ]
        if ways and self.transport is not None:
            (sealed,) = ways[-1].sa.seal_batch([reply])
            self.transport.arrive(self._target.local_nat_port, bytes(sealed))


def _outcome(job: Compute) -> object:
    """What a job gives, or the exception that it raises."""
    try:
        return job.job()
    except Exception as error:  # the machine's to judge
        return error


class MemoryTransport(Transport):
    """Datagrams go to a gateway in this process, and come from it, in order and without loss."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.gateway: Gateway | None = None
        self._loop = asyncio.get_running_loop()

    def lead_to(self, gateway: Gateway | None) -> None:
        """Let a gateway stand at the target's host, in the place of the one before."""
        if self.gateway is not None:
            self.gateway.close()
        self.gateway = gateway
        if gateway is not None:
            gateway.transport = self

    def open(self) -> None:
        """There is nothing to open."""

    async def send_udp(self, octets: bytes, port: int) -> Datagram:
        to = self.target.port if port == self.target.local_port else self.target.nat_port
        path = Path(Endpoint(self.target.host, to), Endpoint(self.target.local, port))
        if self.gateway is not None:
            self._loop.call_soon(self.gateway.take, octets, path)
        return Datagram(time.time(), True, port, to, octets)

    async def send_esp(self, octets: bytes) -> Datagram:
        return await self.send_udp(octets, self.target.local_nat_port)

    async def send_icmp(self, octets: bytes) -> None:
        """ICMP errors tell the gateway nothing."""

    def arrive(self, port: int, octets: bytes) -> None:
        """A datagram of the gateway's."""
        self._loop.call_soon(self._take, port, octets)

    def _take(self, port: int, octets: bytes) -> None:
        to = self.target.port if port == self.target.local_port else self.target.nat_port
        got = Datagram(time.time(), False, port, to, octets)
        if port == self.target.local_port:
            self._give_ike(got, octets)
        elif octets.startswith(NON_ESP_MARKER):
            self._give_ike(got, octets[len(NON_ESP_MARKER) :])
        elif len(octets) > 1:
            self._give_esp(got)


class MemoryInitiator:
    """Makes a gateway in this process begin, a new one for each set-up: a `Trigger`."""

    patience_s = 0.0

    def __init__(self, target: Target, transport: MemoryTransport, impairments: Sequence[str] = ()) -> None:
        self._target, self._transport, self._impairments = target, transport, impairments

    async def ask(self, action: Action, profile: Profile, case: str) -> None:
        await asyncio.sleep(0.01)  # what is under way arrives
        if action == Action.STOP:
            self._transport.lead_to(None)
            return
        if action == Action.INITIATE:
            config = initiator(profile, self._target)
            self._transport.lead_to(Gateway(self._target, config, self._impairments))
        gateway = self._transport.gateway
        assert gateway is not None, "nothing was set up"
        gateway.request(COMMANDS[action])


COMMANDS: dict[Action, Command] = {
    Action.INITIATE: Initiate("net", "net"),
    Action.NEW_CHILD: Initiate("net", "second"),
    Action.REKEY_CHILD: Rekey(child="net"),
    Action.REKEY_IKE: Rekey(ike="net"),
}


async def run_one(one: Case, target: Target = TARGET, impairments: Sequence[str] = ()) -> Result:
    """Run a case against a gateway of its own, in the role that the case is for."""
    transport = MemoryTransport(target)
    begins = None
    if one.role == "initiator":
        begins = MemoryInitiator(target, transport, impairments)
    else:
        transport.lead_to(Gateway(target, responder(target), impairments))
    try:
        return await run_case(one, target, transport, begins)
    finally:
        transport.lead_to(None)
