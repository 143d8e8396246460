"""The configuration model, independent of its source. Keys, meanings and defaults are swanctl.conf's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from esp.packet.selectors import Selector
from ikepy.config import fields, routing, secret_source, values
from ikepy.config.dns_name import DnsName as DnsName  # a part of the model, to whoever uses it
from ikepy.config.fields import (
    Action,
    Childless,
    Fragmentation,
    LogFormat,
    LogLevel,
    Ready,
    Subsystem,
    Sysctls,
    Unique,
)
from ikepy.config.identity import Identity as Identity  # a part of the model, to whoever uses it
from ikepy.config.keyring import Keyring
from ikepy.config.probe import Probe
from ikepy.config.proposals import default as default_proposals
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.config.routing import StaticRoute as StaticRoute
from ikepy.config.section import Boolean, Seconds, Section
from ikepy.config.values import Address, AnyAddress, Dynamic, Interface, Network
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import ProtocolId
from ikepy.wire.message import MAX_FRAGMENTS, MAX_MESSAGE, MAX_PAYLOADS
from ikepy.wire.proposal import MAX_PROPOSALS, Proposal

DYNAMIC: Dynamic = "dynamic"  # a traffic selector: the IKE address
ANY_ADDRESS: AnyAddress = "%any"

_ACTIONS = {"none": "none", "trap": "trap", "start": "start"}
_COMBINED = {"trap|start": "is not supported by ikepy yet"}
_DPD_ACTIONS = _ACTIONS | {"clear": "none", "restart": "start"}
_UNIQUE = {word: word for word in ("no", "never", "keep", "replace")}
# "force" only matters in IKEv1: RFC 7383 never fragments IKE_SA_INIT, so there is nothing to force.
_SYSCTLS = {word: word for word in ("check", "set", "ignore")}
_FRAGMENTATION = {"yes": "yes", "true": "yes", "force": "yes", "accept": "accept", "no": "no", "false": "no"}
_CHILDLESS = {word: word for word in ("allow", "prefer", "force", "never")}
_READY = {word: word for word in ("all", "any", "none")}
_LEVELS = {word: word for word in ("debug", "info", "warning", "error")}
_AUTH_LATER = dict.fromkeys(("pubkey", "eap", "xauth", "rsa", "ecdsa"), "is not supported by ikepy yet")

Amount = Annotated[int, fields.integer(0, 2**63 - 1, "0: without limit")]
AddressPatterns = Annotated[
    tuple[Address | Network | AnyAddress | DnsName, ...], fields.each(values.address_pattern, required=True)
]
Selectors = Annotated[tuple[Selector | Dynamic, ...], fields.each(values.selector, required=True)]
Port = Annotated[int, fields.integer(1, 65535, "a UDP port")]
OwnPort = Annotated[int, fields.integer(0, 65535, "a UDP port; 0: one that the kernel chooses at the start")]
AuthMethod = Annotated[str, fields.choice("authentication method", {"psk": "psk"}, _AUTH_LATER)]
StartAction = Annotated[Action, fields.choice("action", _ACTIONS, _COMBINED)]


class AuthLocal(Section):
    """How we authenticate. `id` None: the address in use."""

    auth: AuthMethod = "psk"
    id: Annotated[Identity | None, PlainValidator(fields.identity)] = None


class AuthRemote(Section):
    """How the peer must authenticate. `id` None: "%any"."""

    auth: AuthMethod = "psk"
    id: Annotated[Identity | None, PlainValidator(fields.identity)] = None


class Child(Section):
    """One CHILD_SA. `replay_window` is in packets, 0: no anti-replay."""

    name: str
    local_ts: Selectors = (DYNAMIC,)
    remote_ts: Selectors = (DYNAMIC,)
    esp_proposals: Annotated[tuple[Proposal, ...], fields.proposals(ProtocolId.ESP)] = Field(
        default_factory=lambda: default_proposals(ProtocolId.ESP)
    )
    start_action: StartAction = "none"
    close_action: StartAction = "none"
    dpd_action: Annotated[Action, fields.choice("action", _DPD_ACTIONS)] = "none"
    # swanctl's default is 32: peers reorder more than that.
    replay_window: Annotated[int, fields.integer(0, 4096, "packets; 0: no anti-replay")] = 1024
    # Octets to which inner packets are padded (RFC 4303 2.7); "mtu": as many as the device's MTU; 0: never.
    tfc_padding: Annotated[int | Literal["mtu"], PlainValidator(values.tfc_padding)] = 0
    mode: Annotated[str, fields.choice("mode", {"tunnel": "tunnel"})] = "tunnel"
    rekey_time: Seconds = 3600.0  # 0: never
    life_time: Seconds | None = None  # None: rekey_time and a tenth
    rand_time: Seconds | None = None  # None: life_time - rekey_time
    rekey_bytes: Amount = 0
    life_bytes: Amount | None = None  # None: rekey_bytes and a tenth
    rand_bytes: Amount | None = None  # None: life_bytes - rekey_bytes
    rekey_packets: Amount = 0
    life_packets: Amount | None = None
    rand_packets: Amount | None = None

    @property
    def hard_life_time(self) -> float:
        """Hard lifetime of the CHILD_SA in seconds; 0: unlimited."""
        return self.rekey_time * 1.1 if self.life_time is None else self.life_time

    @property
    def random_time(self) -> float:
        """Seconds by which chance may bring a rekey forward."""
        if self.rand_time is not None:
            return self.rand_time
        return max(self.hard_life_time - self.rekey_time, 0.0)

    def local_selectors(self, address: Address) -> tuple[Selector, ...]:
        """`local_ts` where our IKE address is `address`."""
        return _with_address(self.local_ts, address)

    def remote_selectors(self, address: Address) -> tuple[Selector, ...]:
        """`remote_ts` where the peer's IKE address is `address`."""
        return _with_address(self.remote_ts, address)


def _with_address(selectors: Iterable[Selector | Dynamic], address: Address) -> tuple[Selector, ...]:
    return tuple(
        Selector(address.version, int(address), int(address)) if isinstance(one, str) else one
        for one in selectors
    )


class Vti(Section):
    """The TUN device that stands in for the VTI; swanctl has no such section.

    `routes` None: the negotiated remote selectors, unless they are 0/0. `mtu` None: from the uplink's MTU and
    the suite's overhead, in octets. `table` None: the main routing table. `metric` None: the
    kernel's, 0 for IPv4 and 1024 for IPv6. `src`: at most one address of a version.
    """

    name: Annotated[str, PlainValidator(values.device_name)]
    addresses: Annotated[tuple[Interface, ...], fields.each(values.interface)] = ()
    peers: Annotated[tuple[Address, ...], fields.each(values.address)] = ()
    routes: Annotated[tuple[StaticRoute, ...] | None, fields.each(routing.route)] = None
    mtu: Annotated[
        int | None, fields.integer(fields.MIN_IPV4_MTU, fields.MAX_MTU, "octets; with IPv6 at least 1280")
    ] = None
    mss_clamp: Boolean = False
    table: Annotated[int | None, PlainValidator(routing.routing_table)] = None
    metric: Annotated[int | None, fields.integer(1, 2**32 - 1, "of the routes")] = None
    src: Annotated[tuple[Address, ...], fields.each(values.address)] = ()

    def source(self, version: int) -> Address | None:
        """The preferred source address of routes of an IP version."""
        return next((one for one in self.src if one.version == version), None)


class Connection(Section):
    """One IKE connection: peers, proposals, children and the device. Times are in seconds.

    Every source fills in the names: this one's, the children's, and the device's where it is absent.
    """

    name: str
    version: Annotated[int, fields.integer(2, 2, "ikepy speaks IKEv2 only; leave the key out")] = 2
    local_addrs: AddressPatterns = (ANY_ADDRESS,)
    remote_addrs: AddressPatterns = (ANY_ADDRESS,)
    local_port: OwnPort = 500
    remote_port: Port = 500
    proposals: Annotated[tuple[Proposal, ...], fields.proposals(ProtocolId.IKE)] = Field(
        default_factory=lambda: default_proposals(ProtocolId.IKE)
    )
    encap: Boolean = False
    mobike: Boolean = True
    # "accept": receive fragments, but send messages whole.
    fragmentation: Annotated[
        Fragmentation, fields.choice("policy", _FRAGMENTATION), BeforeValidator(values.word)
    ] = "yes"
    dpd_delay: Seconds = 0.0  # 0: no liveness checks
    # Tries to bring up a child; 0: for ever. None: for ever if it is configured to be up, else once.
    keyingtries: Annotated[int | None, fields.integer(0, 1000, "0: for ever")] = None
    childless: Annotated[Childless, fields.choice("policy", _CHILDLESS)] = "allow"
    rekey_time: Seconds = 14400.0  # 0: never
    reauth_time: Seconds = 0.0  # 0: never
    over_time: Seconds | None = None  # None: a tenth of the longer of the two
    rand_time: Seconds | None = None  # None: over_time
    unique: Annotated[Unique, fields.choice("policy", _UNIQUE)] = "no"
    # Limits on what peers hold; rekeys may exceed them. The limits of one peer are below the totals.
    max_ike_sas: Annotated[int, fields.integer(1, 1_000_000, "IKE_SAs")] = 16384
    max_ike_sas_per_identity: Annotated[int, fields.integer(1, 1_000_000, "IKE_SAs of one identity")] = 32
    max_children: Annotated[int, fields.integer(1, 1_000_000, "children of one IKE_SA")] = 256
    max_children_in_all: Annotated[int, fields.integer(1, 1_000_000, "children")] = 32768
    local: AuthLocal = Field(default_factory=AuthLocal)
    remote: AuthRemote = Field(default_factory=AuthRemote)
    children: dict[str, Child] = Field(default_factory=dict)
    vti: Vti
    probe: Probe | None = None

    @property
    def may_carry_ipv6(self) -> bool:
        """Whether a child is configured to reach IPv6 networks."""
        selectors = (one for child in self.children.values() for one in child.remote_ts)
        return any(isinstance(one, Selector) and one.version == 6 for one in selectors)

    @property
    def grace_time(self) -> float:
        """Seconds between the soft lifetime (rekey) and the hard lifetime (delete) of the IKE_SA."""
        return max(self.rekey_time, self.reauth_time) / 10 if self.over_time is None else self.over_time

    @property
    def random_time(self) -> float:
        """Seconds by which chance may bring a rekey forward."""
        return self.grace_time if self.rand_time is None else self.rand_time


def device_name(connection: str) -> str:
    """The device's name where `vti.name` is absent: the connection's name without what the kernel refuses."""
    kept = "".join(c for c in connection if c.isascii() and (c.isalnum() or c in "_-"))
    return kept.lstrip("-")[: values.MAX_DEVICE_NAME] or "vti"


class SecretEntry(Section):
    """One pre-shared key and the identities it belongs to."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    ids: Annotated[tuple[Identity | None, ...], fields.each(fields.identity)] = ()
    text: Annotated[Secret | None, PlainValidator(secret_source.from_text)] = Field(None, alias="secret")
    file: Annotated[Secret | None, PlainValidator(secret_source.from_file)] = Field(None, alias="secret_file")
    environment: Annotated[Secret | None, PlainValidator(secret_source.from_environment)] = Field(
        None, alias="secret_env"
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        given = [one for one in (self.text, self.file, self.environment) if one is not None]
        if len(given) != 1:
            raise ValueError("exactly one of secret, secret_file, secret_env must be given")
        return self

    @property
    def source(self) -> str:
        """The key in the file that gives the secret."""
        return "secret" if self.text is not None else "secret_file" if self.file is not None else "secret_env"

    @property
    def secret(self) -> Secret:
        """The key itself, wherever it came from."""
        return next(one for one in (self.text, self.file, self.environment) if one is not None)

    def match(self, identity: Identity | None) -> int:
        """How well the entry matches: 0 no match, 1 any identity, 2 by wildcard, 3 exact."""
        if not self.ids:
            return 1
        return max(_match(identity, own) for own in self.ids)


def _match(identity: Identity | None, own: Identity | None) -> int:
    if own is None:
        return 1
    if identity is None or not identity.matches(own):
        return 0
    return 2 if own.is_pattern else 3


class Http(Section):
    """The HTTP server: metrics, health and SAs, to read only.

    `ready`: which of the children with `start_action = "start"` must be up for /readyz. `strongswan_names`:
    add the metrics of ipsec-prometheus-exporter.
    """

    listen: Annotated[tuple[Address, int], PlainValidator(values.listen)]
    ready: Annotated[Ready, fields.choice("condition", _READY)] = "all"
    strongswan_names: Boolean = False


class Daemon(Section):
    """Settings of the whole daemon; the retransmission defaults are charon's. Times in seconds."""

    port: OwnPort = 500
    port_nat_t: OwnPort = 4500
    retransmit_timeout: Annotated[float, fields.number(0.01, 600, "seconds")] = 4.0
    retransmit_base: Annotated[float, fields.number(1, 10)] = 1.8
    retransmit_tries: Annotated[int, fields.integer(0, 100)] = 5
    retransmit_jitter: Annotated[int, fields.integer(0, 20, "percent")] = 10  # charon's default is 0
    retransmit_limit: Seconds = 0.0  # of one interval; 0: none
    # Requests a peer may have outstanding; above 1 it is announced by SET_WINDOW_SIZE (RFC 7296 2.3).
    window_size: Annotated[int, fields.integer(1, 64, "requests at once")] = 1
    keep_alive: Seconds = 20.0  # 0: no NAT keepalives
    # Octets of a whole IP packet; 0: 576 over IPv4, 1280 over IPv6.
    fragment_size: Annotated[int, fields.fragment_size] = 1280
    # Seconds that a replaced secret is accepted beside its successor; 0: refused at once.
    old_secret_grace: Seconds = 600.0
    half_open_timeout: Annotated[float, fields.number(0.1, 3600, "seconds")] = 30.0
    cookie_threshold: Annotated[int, fields.integer(0, 1_000_000, "half-open IKE_SAs; 0: no cookies")] = 30
    cookie_threshold_ip: Annotated[
        int, fields.integer(0, 1_000_000, "half-open IKE_SAs of one address; 0: no cookies")
    ] = 3
    block_threshold: Annotated[
        int, fields.integer(0, 1_000_000, "half-open IKE_SAs of one address; 0: no limit")
    ] = 5
    # charon's name. charon refuses new ones at the limit (default 0); here the oldest are dropped.
    init_limit_half_open: Annotated[
        int, fields.integer(0, 1_000_000, "half-open IKE_SAs in all; 0: no limit")
    ] = 2000
    # CPU budget for handshakes with unauthenticated peers.
    strangers_cpu: Annotated[float, fields.number(0, 1000, "percent of one CPU; 0: no limit")] = 25.0
    # Send rate-limited INVALID_SELECTORS for packets outside an SA's selectors (RFC 4301 5.2).
    invalid_selectors: Boolean = True
    # Largest IKE message received in one UDP datagram, in octets; charon's default.
    max_packet: Annotated[int, fields.integer(1280, MAX_MESSAGE, "octets of a message")] = 10000
    # Octets of the fragments of one message together (RFC 7383 5); from strangers never more than 16384.
    max_message: Annotated[int, fields.integer(1280, MAX_MESSAGE, "octets of all fragments")] = MAX_MESSAGE
    max_fragments: Annotated[int, fields.integer(1, MAX_FRAGMENTS, "fragments of a message")] = MAX_FRAGMENTS
    max_payloads: Annotated[int, fields.integer(8, MAX_PAYLOADS, "payloads of a message")] = MAX_PAYLOADS
    max_proposals: Annotated[int, fields.integer(1, MAX_PROPOSALS, "of an SA payload")] = MAX_PROPOSALS
    workers: Annotated[int | None, fields.integer(1, 256)] = None  # None: the CPUs it may use
    # Real-time priority of workers under load, ahead of ordinary processes as the kernel's network stack is.
    worker_priority: Annotated[int, fields.integer(0, 99, "real-time; 0: ordinary")] = 1
    # Whom control becomes once a privileged process has its rights; "": nobody, it keeps them. None: "ikepy"
    # if there is such a user, else "nobody".
    user: str | None = None
    worker_user: str = "nobody"  # "": the one that starts the daemon
    socket: Annotated[Path, PlainValidator(values.absolute_path)] = Path("/run/ikepy/ikepy.sock")
    socket_group: str = ""  # whose members may use it; "": only root and who starts the daemon
    log_level: Annotated[LogLevel, fields.choice("level", _LEVELS)] = "info"
    log_levels: Annotated[tuple[tuple[Subsystem, LogLevel], ...], fields.each(fields.subsystem_level)] = ()
    log_format: Annotated[LogFormat, fields.choice("format", {"text": "text", "json": "json"})] = "text"
    # What becomes of kernel settings that a gateway needs.
    sysctls: Annotated[Sysctls, fields.choice("way", _SYSCTLS)] = "check"
    http: Http | None = None


class Vxlan(Section):
    """A VXLAN device that ikepy makes (RFC 7348), with unicast flooding to its peers.

    `device`: the underlay; None: as routes lead. `local`: the source of outer packets, which also says their
    IP version: IPv4 without it. `mtu` None: the underlay's less VXLAN's overhead, in octets.
    """

    name: Annotated[str, PlainValidator(values.device_name)]
    vni: Annotated[int, fields.integer(1, 2**24 - 1, "VXLAN network identifier")]
    device: Annotated[str | None, PlainValidator(values.device_name)] = None
    port: Port = 4789
    local: Annotated[Address | None, PlainValidator(values.address)] = None
    peers: Annotated[tuple[Address | str, ...], fields.each(values.host)] = ()
    addresses: Annotated[tuple[Interface, ...], fields.each(values.interface)] = ()
    mtu: Annotated[int | None, fields.integer(fields.MIN_IPV4_MTU, fields.MAX_MTU, "octets")] = None

    @property
    def version(self) -> int:
        """The IP version of outer packets."""
        return 4 if self.local is None else self.local.version

    @property
    def peer_addresses(self) -> tuple[Address, ...]:
        return tuple(one for one in self.peers if not isinstance(one, str))

    @property
    def peer_names(self) -> tuple[str, ...]:
        """DNS names, each of which may have several addresses."""
        return tuple(one for one in self.peers if isinstance(one, str))


class Config(Section):
    """The whole configuration."""

    connections: dict[str, Connection] = Field(default_factory=dict)
    secrets: dict[str, SecretEntry] = Field(default_factory=dict)
    vxlan: dict[str, Vxlan] = Field(default_factory=dict)
    daemon: Daemon = Field(default_factory=Daemon)
    router_advertisements: dict[str, RouterAdvertisement] = Field(default_factory=dict)

    def psk(self, local: Identity | None, remote: Identity | None) -> Secret | None:
        """The pre-shared key for these two, the best match as in charon; None if there is none.

        An entry that names the peer is preferred, then one that names us too. An entry without identities
        matches any pair.
        """
        return self._keyring.find(local, remote)

    @cached_property
    def _keyring(self) -> Keyring:
        return Keyring(self.secrets.values())
