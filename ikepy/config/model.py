"""The configuration model, independent of its source. Keys, meanings and defaults are swanctl.conf's.

Sections in files of their own are parts of it to whoever uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from esp.packet.selectors import Selector
from ikepy.config import fields, routing, values
from ikepy.config.auth_method import PSK, AuthMethod
from ikepy.config.authorities import Authority as Authority
from ikepy.config.credentials import certificate_source, secret_source
from ikepy.config.credentials.credential_files import Directories
from ikepy.config.credentials.keyring import Keyring
from ikepy.config.credentials.private_keys import KeyFile, TokenKey
from ikepy.config.daemon_settings import Daemon as Daemon
from ikepy.config.daemon_settings import Http as Http
from ikepy.config.dns_name import DnsName as DnsName
from ikepy.config.fields import (
    Action,
    Childless,
    Fragmentation,
    OcspUse,
    PostQuantum,
    Redirect,
    Revocation,
    SendCert,
    Unique,
)
from ikepy.config.identity import Identity as Identity
from ikepy.config.pools import Pool as Pool
from ikepy.config.probe import Probe
from ikepy.config.proposals import default as default_proposals
from ikepy.config.proposals import is_quantum_safe
from ikepy.config.radius import Radius
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.config.routing import StaticRoute as StaticRoute
from ikepy.config.section import Boolean, Impairments, OwnPort, Port, Seconds, Section
from ikepy.config.values import Address, AnyAddress, Dynamic, Interface, Network
from ikepy.config.vxlan import Vxlan as Vxlan
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import ProtocolId
from ikepy.wire.proposal import Proposal

DYNAMIC: Dynamic = "dynamic"  # a traffic selector: the virtual address, or else the IKE address
ANY_ADDRESS: AnyAddress = "%any"
ANY_USER = "%any"
NT_HASH = 16  # octets
MOST_VIPS = 8  # virtual addresses of a connection
MOST_POOLS = 64  # of a connection

_ACTIONS = {"none": "none", "trap": "trap", "start": "start"}
_COMBINED = {"trap|start": "is not supported by ikepy yet"}
_DPD_ACTIONS = _ACTIONS | {"clear": "none", "restart": "start"}
_UNIQUE = {word: word for word in ("no", "never", "keep", "replace")}
_POST_QUANTUM = {"require": "require", "prefer": "prefer", "off": "off"}
# "force" only matters in IKEv1: RFC 7383 never fragments IKE_SA_INIT, so there is nothing to force.
_FRAGMENTATION = {"yes": "yes", "true": "yes", "force": "yes", "accept": "accept", "no": "no", "false": "no"}
_CHILDLESS = {word: word for word in ("allow", "prefer", "force", "never")}
_REDIRECT = {word: word for word in ("configured", "follow", "never")}
_OCSP = {word: word for word in ("reply", "request", "both", "never")}
_SEND_CERT = {word: word for word in ("always", "ifasked", "never")}
_REVOCATION = {word: word for word in ("strict", "ifuri", "relaxed")}

EapId = Annotated[str | None, PlainValidator(values.sent_name)]
Amount = Annotated[int, fields.integer(0, 2**63 - 1, "0: without limit")]
AddressPatterns = Annotated[
    tuple[Address | Network | AnyAddress | DnsName, ...], fields.each(values.address_pattern, required=True)
]
Selectors = Annotated[tuple[Selector | Dynamic, ...], fields.each(values.selector, required=True)]
AuthWord = Annotated[AuthMethod, PlainValidator(fields.auth_method)]
Certificates = Annotated[tuple[bytes, ...], certificate_source.certificate_list()]  # DER
CaCertificates = Annotated[tuple[bytes, ...], certificate_source.ca_list()]
PublicKeys = Annotated[tuple[bytes, ...], certificate_source.public_key_list()]  # DER SubjectPublicKeyInfo
StartAction = Annotated[Action, fields.choice("action", _ACTIONS, _COMBINED)]


class AuthLocal(Section):
    """How we authenticate. `id` None: the subject of the first of `certs`, or the address in use.

    `certs`, `pubkeys`: of ours, of which the peer decides among several. Without any: what fits `id`.
    `eap_id`: the EAP identity that we answer with; None: `id`. `aaa_id`: whose certificate the EAP server has
    to show; None: the peer's identity.
    """

    auth: AuthWord = PSK
    id: Annotated[Identity | None, PlainValidator(fields.identity)] = None
    certs: Certificates = ()
    pubkeys: PublicKeys = ()
    eap_id: EapId = None
    aaa_id: Annotated[Identity | None, PlainValidator(fields.identity)] = None

    @property
    def own_id(self) -> Identity | None:
        """`id`, or else the subject of the first of `certs`, if these are what we prove ourselves by."""
        if self.id is None and self.certs and self.auth.kind == "pubkey":
            return certificate_source.subject(self.certs[0])
        return self.id

    @property
    def eap(self) -> str:
        """Its word if it is EAP, as "eap-tls"; else ""."""
        return self.auth.eap


class AuthRemote(Section):
    """How the peer must authenticate. `id` None: "%any".

    `certs`, `pubkeys`: its own, believed as they are. `cacerts`: the CAs of which one must have issued its
    certificate; without any of the three: all that are loaded. `ca_id`: of a CA in its chain. `eap_id`: the
    user; None: `id` of its IKE_AUTH; "%any": whoever the peer says it is, asked for by EAP.
    """

    auth: AuthWord = PSK
    id: Annotated[Identity | None, PlainValidator(fields.identity)] = None
    certs: Certificates = ()
    cacerts: CaCertificates = ()
    pubkeys: PublicKeys = ()
    ca_id: Annotated[Identity | None, PlainValidator(fields.identity)] = None
    cert_policy: Annotated[tuple[str, ...], fields.each(fields.object_identifier)] = ()
    revocation: Annotated[Revocation, fields.choice("policy", _REVOCATION)] = "relaxed"
    # Whether certificates are fetched that the peer gives by hash and URL (RFC 7296 3.6).
    hash_and_url: Boolean = False
    eap_id: EapId = None

    @property
    def eap(self) -> str:
        """Its word if it is EAP, as "eap-tls"; else ""."""
        return self.auth.eap


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
    mode: Annotated[str, fields.choice("mode", {"tunnel": "tunnel", "transport": "transport"})] = "tunnel"
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
    def transport(self) -> bool:
        """Whether it is in transport mode: the hosts' own packets, without a header around them."""
        return self.mode == "transport"

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

    def local_selectors(self, *addresses: Address) -> tuple[Selector, ...]:
        """`local_ts` where our addresses are `addresses`: the virtual ones, or else that of IKE."""
        return _with_addresses(self.local_ts, addresses)

    def remote_selectors(self, *addresses: Address) -> tuple[Selector, ...]:
        """`remote_ts` where the peer's addresses are `addresses`."""
        return _with_addresses(self.remote_ts, addresses)


def _with_addresses(
    selectors: Iterable[Selector | Dynamic], addresses: Sequence[Address]
) -> tuple[Selector, ...]:
    dynamic = [Selector(one.version, int(one), int(one)) for one in addresses]
    return tuple(found for one in selectors for found in (dynamic if isinstance(one, str) else (one,)))


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
    # What `proposals` are if they are absent; "require": they must have ML-KEM.
    pq: Annotated[PostQuantum, fields.choice("policy", _POST_QUANTUM)] = "prefer"
    proposals: Annotated[tuple[Proposal, ...], fields.proposals(ProtocolId.IKE)] = Field(
        default_factory=lambda: ["default"], validate_default=True
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
    # Where a gateway may send us (RFC 5685): "configured": to what `remote_addrs` permits.
    redirect: Annotated[Redirect, fields.choice("policy", _REDIRECT)] = "configured"
    # Where clients of this connection are sent, once they are authenticated; None: they are served here.
    redirect_to: Annotated[Address | DnsName | None, PlainValidator(values.gateway)] = None
    # Whether IKE_SAs that were interrupted go on by a ticket (RFC 5723), in both roles.
    resumption: Boolean = False
    # The postquantum preshared key (RFC 8784) that we name as initiator, and alone take as responder.
    ppk_id: Annotated[Identity | None, PlainValidator(fields.identity)] = None
    ppk_required: Boolean = False
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
    send_cert: Annotated[SendCert, fields.choice("policy", _SEND_CERT)] = "ifasked"
    send_certreq: Boolean = True
    # Whether OCSP responses about our certificate are sent if the peer asks, and asked for (RFC 4806).
    ocsp: Annotated[OcspUse, fields.choice("policy", _OCSP)] = "reply"
    # Experimental: signatures by ML-DSA keys (draft-ietf-ipsecme-ikev2-pqc-auth), made and verified.
    experimental_mldsa: Boolean = False
    local: AuthLocal = Field(default_factory=AuthLocal)
    remote: AuthRemote = Field(default_factory=AuthRemote)
    local2: AuthLocal | None = None  # of the second round of authentication (RFC 4739)
    remote2: AuthRemote | None = None
    # Virtual addresses that we ask for; 0.0.0.0 and ::: any. charon asks for as many as it is given here.
    vips: Annotated[tuple[Address, ...], fields.each(values.address, most=MOST_VIPS)] = ()
    pools: Annotated[tuple[str, ...], fields.each(values.text, most=MOST_POOLS)] = ()
    # What the daemon does wrong on purpose with this peer: `ikepy.impair`.
    impairments: Impairments = ()
    children: dict[str, Child] = Field(default_factory=dict)
    vti: Vti
    probe: Probe | None = None

    @property
    def offers_ml_kem(self) -> bool:
        """Whether a proposal of its asks for ML-KEM."""
        return any(map(is_quantum_safe, self.proposals))

    @property
    def replies_ocsp(self) -> bool:
        """Whether a peer that asks for an OCSP response gets one."""
        return self.ocsp in ("reply", "both")

    @property
    def asks_ocsp(self) -> bool:
        """Whether peers are asked for one."""
        return self.ocsp in ("request", "both")

    @property
    def ends(self) -> dict[str, AuthLocal | AuthRemote]:
        """The sections that say how both ends authenticate, by their keys."""
        every = {
            "local": self.local,
            "local2": self.local2,
            "remote": self.remote,
            "remote2": self.remote2,
        }
        return {key: one for key, one in every.items() if one is not None}

    @property
    def locals(self) -> tuple[AuthLocal, ...]:
        """How we authenticate, in each round in which we do."""
        return (self.local,) if self.local2 is None else (self.local, self.local2)

    @property
    def remotes(self) -> tuple[AuthRemote, ...]:
        """How the peer must, in each round in which it does."""
        return (self.remote,) if self.remote2 is None else (self.remote, self.remote2)

    @property
    def methods(self) -> frozenset[str]:
        """The kinds of methods that it has on either side: "psk", "pubkey", "eap"."""
        ours = {one.auth.kind for one in self.locals}
        return frozenset(ours | {one.auth.kind for one in self.remotes})

    @property
    def may_move(self) -> bool:
        """Whether MOBIKE may be used: it moves tunnels, and no transport mode (RFC 4555 1.2)."""
        return self.mobike and not any(child.transport for child in self.children.values())

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


SecretKind = Literal["ike", "eap", "ntlm", "ppk"]  # swanctl tells them by the beginning of the section's name


class SecretEntry(Section):
    """One shared secret and the identities it belongs to.

    `kind`: a pre-shared key, a user's password, the NT hash of one (16 octets), or a postquantum preshared
    key, whose identities are its own. Every source fills it in.
    """

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    kind: SecretKind = "ike"
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
        if self.kind == "ntlm" and len(self.secret) != NT_HASH:
            raise ValueError(
                f"an NT hash has {NT_HASH} octets: give 0x and 32 hex digits; a password stands in "
                "[secrets.eap-NAME]"
            )
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


class Config(Section):
    """The whole configuration."""

    connections: dict[str, Connection] = Field(default_factory=dict)
    secrets: dict[str, SecretEntry] = Field(default_factory=dict)
    private_keys: dict[str, KeyFile] = Field(default_factory=dict)  # by the name in [secrets.NAME]
    tokens: dict[str, TokenKey] = Field(default_factory=dict)
    pools: dict[str, Pool] = Field(default_factory=dict)
    vxlan: dict[str, Vxlan] = Field(default_factory=dict)
    radius: Radius | None = None
    daemon: Daemon = Field(default_factory=Daemon)
    authorities: dict[str, Authority] = Field(default_factory=dict)
    # What the directories beside the file hold: no key of it.
    directories: Directories = Directories()
    router_advertisements: dict[str, RouterAdvertisement] = Field(default_factory=dict)

    def psk(self, local: Identity | None, remote: Identity | None) -> Secret | None:
        """The pre-shared key for these two, the best match as in charon; None if there is none.

        An entry that names the peer is preferred, then one that names us too. An entry without identities
        matches any pair.
        """
        return self._keyring.find(local, remote)

    def user(self, name: str) -> SecretEntry | None:
        """The entry with the password or NT hash of a user, by the EAP identity; None if there is none.

        One that names the user is preferred; one without identities is everybody's.
        """
        identity = Identity.of_user(name)
        found = None if identity is None else self._users.find(None, identity)
        if found is None:
            return None
        entry = self.name_of(found)
        return None if entry is None else self.secrets.get(entry)

    def ppk(self, data: bytes) -> Secret | None:
        """The postquantum preshared key that has an identifier with these octets (RFC 8784)."""
        return self._ppks.get(data)

    @property
    def has_ppks(self) -> bool:
        """Whether there is any that a peer could name."""
        return bool(self._ppks)

    @cached_property
    def has_psks(self) -> bool:
        """Whether there is any pre-shared key."""
        return bool(self.of_kind("ike"))

    def name_of(self, secret: Secret) -> str | None:
        """The name of the entry that holds this very object; None if none does."""
        return self._names.get(id(secret))

    def of_kind(self, *kinds: SecretKind) -> dict[str, SecretEntry]:
        """The secrets of some kinds."""
        return {name: one for name, one in self.secrets.items() if one.kind in kinds}

    @cached_property
    def _keyring(self) -> Keyring:
        return Keyring(self.of_kind("ike").values())

    @cached_property
    def _users(self) -> Keyring:
        return Keyring(self.of_kind("eap", "ntlm").values())

    @cached_property
    def _ppks(self) -> dict[bytes, Secret]:
        """By their identifiers' octets, which strangers may name; of several the first."""
        entries = reversed(self.of_kind("ppk").values())
        return {own.data: one.secret for one in entries for own in one.ids if own is not None}

    @cached_property
    def _names(self) -> dict[int, str]:
        """By `id` of the secret."""
        return {id(one.secret): name for name, one in reversed(self.secrets.items())}
