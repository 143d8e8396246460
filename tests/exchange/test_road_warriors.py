"""Clients of today's systems as they ask, at a gateway that is configured as docs/road-warriors.md says.

Each one's payloads, in their order, are those of public logs; keys and AUTH are our own, as no log has them:

- Windows 10 and 11: proposals of docs.strongswan.org/docs/6.0/interop/windowsClients.html and of
  github.com/trailofbits/algo/issues/9, vendor IDs of docs.strongswan.org/docs/6.0/interop/
  windowsMachineServerStatus.html
- iOS 16.5 and macOS 13.4: docs.strongswan.org/docs/5.9/interop/ios.html
- Android 11: github.com/strongswan/strongswan/issues/2189, and the proposals of AOSP's VpnIkev2Utils

Windows has no pre-shared keys for IKEv2: AUTH stands there for its certificate. What it does as it comes is
in `test_road_warriors_eap`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest

from ikepy.config.proposals import parse
from ikepy.config.toml_source import parse as parse_config
from ikepy.crypto.auth import SignedOctets, maced_id, psk_auth
from ikepy.crypto.key_schedule import KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.message.fragments import Reassembly
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_keys import suite_of
from ikepy.wire.constants import (
    AuthMethod,
    ConfigAttribute,
    ExchangeType,
    HeaderFlag,
    IdType,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikepy.wire.message import (
    IkeHeader,
    decode_message,
    encode_message,
    encode_payloads,
    protected_prefix,
)
from ikepy.wire.payloads import (
    Attribute,
    AuthPayload,
    CertReqPayload,
    CpPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    TrafficSelector,
    TsPayload,
    VendorIdPayload,
)
from ikepy.wire.proposal import Proposal
from tests.key_exchanges import begin
from tests.unit.docs.pages import DOCS, blocks

from .network import ADDRESS_B, Network, Options

C = ConfigAttribute
PLACE = Path(Endpoint(ADDRESS_B, 500), Endpoint(ip_address("198.51.100.7"), 31000))
SECRET, NONCE = b"correct horse", bytes(32)
EVERYTHING = (
    TrafficSelector(7, 0, 0, 65535, bytes(4), b"\xff" * 4),
    TrafficSelector(8, 0, 0, 65535, bytes(16), b"\xff" * 16),
)
# As docs/road-warriors.md has it.
GATEWAY = Options(
    proposals='["aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048", "aes256-sha384-modp1024"]',
    esp_proposals='["aes256gcm16", "aes256-sha256", "aes256-sha1"]',
    connection='pools = ["four", "six"]\nunique = "replace"',
    local_ts='["0.0.0.0/0", "::/0"]',
    remote_ts='["dynamic"]',
    remote_addrs="%any",
    local_id="vpn.example.org",
    remote_id="%any",
    more="""
[pools.four]
addrs = "10.3.0.0/24"
dns = ["10.8.0.53"]
subnet = ["10.8.0.0/16"]
domains = ["example.org"]
[pools.six]
addrs = "fd03::/120"
dns = ["fd08::53"]
""",
)


@dataclass(frozen=True, slots=True)
class Client:
    """`first`, `vendors`: in IKE_SA_INIT. `order`: of IKE_AUTH's payloads, in the words of charon's log.

    `told`: what the gateway has to tell, of the `attributes` that are asked for.
    """

    ike: tuple[str, ...]
    esp: tuple[str, ...]
    identity: tuple[IdType, bytes]
    order: str
    attributes: tuple[ConfigAttribute, ...]
    told: frozenset[ConfigAttribute]
    first: tuple[NotifyType, ...] = ()
    vendors: tuple[bytes, ...] = ()


BOTH = frozenset({C.INTERNAL_IP4_ADDRESS, C.INTERNAL_IP6_ADDRESS, C.INTERNAL_IP4_DNS, C.INTERNAL_IP6_DNS})
_WINDOWS_VENDORS = (
    bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009"),  # MS NT5 ISAKMPOAKLEY v9
    bytes.fromhex("fb1de3cdf341b7ea16b7e5be0855f120"),  # MS-Negotiation Discovery Capable
    bytes.fromhex("26244d38eddb61b3172a36e3d0cfb819"),  # Vid-Initial-Contact
    bytes.fromhex("01528bbbc00696121849ab9a1c5b2a5100000002"),
)
_SHA1_ESP = ("aes256-sha1", "aes128-sha1", "3des-sha1", "null-sha1")
_HASHES = ("sha1", "sha256", "sha384")
WINDOWS = Client(
    ike=tuple(f"aes256-{one}-modp2048" for one in _HASHES),
    esp=_SHA1_ESP,
    identity=(IdType.IPV4_ADDR, bytes([192, 168, 1, 7])),
    order="IDi CERTREQ AUTH N(MOBIKE_SUP) CP SA TSi TSr",
    attributes=(
        *(C.INTERNAL_IP4_ADDRESS, C.INTERNAL_IP4_DNS, C.INTERNAL_IP4_NBNS, C.INTERNAL_IP4_SERVER),
        *(C.INTERNAL_IP6_ADDRESS, C.INTERNAL_IP6_DNS, C.INTERNAL_IP6_SERVER),
    ),
    told=BOTH,
    first=(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED,),
    vendors=_WINDOWS_VENDORS,
)
_APPLE_IKE = ("aes256-sha256-modp2048", "aes256-sha256-ecp256", "aes256-sha256-modp1536")
_APPLE_OLD = ("aes128-sha1-modp1024", "3des-sha1-modp1024")
APPLE = Client(
    ike=(*_APPLE_IKE, *_APPLE_OLD),
    esp=("aes256-sha256", "aes128-sha1", "3des-sha1"),
    identity=(IdType.FQDN, b"phone"),
    order="IDi N(INIT_CONTACT) IDr AUTH CP N(ESP_TFC_PAD_N) N(NON_FIRST_FRAG) SA TSi TSr N(MOBIKE_SUP)",
    attributes=(
        *(C.INTERNAL_IP4_ADDRESS, C.INTERNAL_IP4_NETMASK, C.INTERNAL_IP4_DHCP, C.INTERNAL_IP4_DNS),
        *(C.INTERNAL_IP6_ADDRESS, C.INTERNAL_IP6_DHCP, C.INTERNAL_IP6_DNS, C.INTERNAL_DNS_DOMAIN),
    ),
    told=BOTH | {C.INTERNAL_DNS_DOMAIN},
    first=(NotifyType.REDIRECT_SUPPORTED, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
)
_OLD_CIPHERS = ("3des", "aes128", "aes192", "aes256")
CLIENTS = {
    "Windows, as it comes": replace(
        WINDOWS, ike=tuple(f"{cipher}-{one}-modp1024" for cipher in _OLD_CIPHERS for one in _HASHES)
    ),
    "Windows with NegotiateDH2048_AES256 = 2": WINDOWS,
    "Windows with Set-VpnConnectionIPsecConfiguration": replace(
        WINDOWS, ike=("aes256gcm16-prfsha384-ecp384",), esp=("aes256gcm16",)
    ),
    "iOS": APPLE,
    "macOS": replace(APPLE, ike=("aes256-sha256-modp2048", *APPLE.ike)),
    "Android": Client(
        ike=(
            "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac-prfsha512-"
            "prfsha384-prfsha256-prfaesxcbc-prfaescmac-curve25519-modp4096-modp3072-modp2048",
            "chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes128gcm16-prfsha512-prfsha384-"
            "prfsha256-curve25519-modp4096-modp3072-modp2048",
        ),
        esp=(
            "aes256ctr-aes256-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc",
            "chacha20poly1305-aes256gcm16-aes128gcm16",
        ),
        identity=(IdType.RFC822_ADDR, b"alice@example.org"),
        order="IDi IDr AUTH SA TSi TSr CP",
        attributes=(
            *(C.INTERNAL_IP4_ADDRESS, C.INTERNAL_IP6_ADDRESS, C.INTERNAL_IP4_DNS, C.INTERNAL_IP6_DNS),
            *(C.INTERNAL_IP4_NETMASK, C.APPLICATION_VERSION),
        ),
        told=BOTH,
        first=(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED,),
    ),
}


class RoadWarrior:
    """One client at the gateway b."""

    def __init__(self, net: Network, client: Client, number: int = 0xA7) -> None:
        """`number`: to tell it from others behind the same NAT."""
        self.net, self.client = net, client
        self._spi_i, self._path = (
            bytes([number] * 8),
            Path(PLACE.local, replace(PLACE.remote, port=31000 + number)),
        )
        self.random = random.Random(7).randbytes
        self.groups: list[int] = []

    def connect(self) -> tuple[Payload, ...]:
        """IKE_SA_INIT and IKE_AUTH: what is in the response."""
        self.begin()
        mic = AuthPayload(AuthMethod.SHARED_KEY_MIC, psk_auth(self.prf, Secret(SECRET), self.octets))
        return self.exchange(self.auth(mic))

    def begin(self) -> None:
        """IKE_SA_INIT, again with another group if it is told so, and the keys."""
        offered = _offer(self.client.ike, ProtocolId.IKE, b"")
        answer = self._init(offered, proposals.key_exchanges(offered[0])[0])
        wanted = query.notify(answer, NotifyType.INVALID_KE_PAYLOAD)
        if wanted is not None:
            answer = self._init(offered, int.from_bytes(wanted.data, "big"))
        chosen = query.must(answer, SaPayload).proposals[0]
        nonce_r = query.must(answer, NoncePayload).data
        suite = suite_of(chosen)
        shared = self._ke.finish(query.must(answer, KePayload).data)
        keys = KeySchedule.initial(suite, shared, Seed(NONCE, nonce_r, self._spi_i, self.spi_r)).keys
        self._out = SkCipher(suite.encr, suite.key_bits, suite.integ, keys.sk_ei, keys.sk_ai)
        self._incoming = SkCipher(suite.encr, suite.key_bits, suite.integ, keys.sk_er, keys.sk_ar)
        self.prf, self._sk_pr = suite.prf, keys.sk_pr
        identity = maced_id(suite.prf, keys.sk_pi, self.identity.encode())
        self.octets = SignedOctets(self.request, nonce_r, identity)
        self._sent = 0

    @property
    def identity(self) -> IdPayload:
        return IdPayload(PayloadType.ID_I, *self.client.identity)

    def gateways_octets(self, id_r: IdPayload) -> SignedOctets:
        """What the gateway's AUTH has to cover."""
        return SignedOctets(self.response, NONCE, maced_id(self.prf, self._sk_pr, id_r.encode()))

    def exchange(self, payloads: Sequence[Payload]) -> tuple[Payload, ...]:
        """The next IKE_AUTH: what is in the response, which may come in fragments."""
        self._sent += 1
        first, plaintext = encode_payloads(payloads)
        header = self._header(ExchangeType.IKE_AUTH, self._sent)
        prefix = protected_prefix(header, first, self._out.body_length(len(plaintext)))
        opened, parts = None, Reassembly()
        for data in self._send(self._out.seal(prefix, plaintext, self.random)):
            assert opened is None
            opened = parts.open(
                data,
                decode_message(data),
                self._incoming,
                self.net.now,
                negotiated=True,
                limit=65536,
                most=64,
            )
        assert opened is not None
        return tuple(opened.payloads())

    def _init(self, offered: tuple[Proposal, ...], group: int) -> tuple[Payload, ...]:
        self.spi_r = bytes(8)
        self.groups.append(group)
        self._ke = begin(group, self.random)
        payloads: list[Payload] = [
            SaPayload(offered),
            KePayload(group, self._ke.public),
            NoncePayload(NONCE),
            *(NotifyPayload(one) for one in self.client.first),
            NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
            NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, bytes(20)),
            *(VendorIdPayload(one) for one in self.client.vendors),
        ]
        self.request = encode_message(self._header(ExchangeType.IKE_SA_INIT, 0), payloads)
        (self.response,) = self._send(self.request)
        answer = decode_message(self.response)
        self.spi_r = answer.header.spi_r
        return answer.payloads

    def auth(self, mic: AuthPayload | None) -> list[Payload]:
        """Of the first IKE_AUTH; without `mic` it asks for EAP (RFC 7296 2.16)."""
        asked = CpPayload(1, tuple(Attribute(one) for one in self.client.attributes))
        known: dict[str, Payload] = {
            "IDi": self.identity,
            "IDr": IdPayload(PayloadType.ID_R, IdType.FQDN, b"vpn.example.org"),
            "CERTREQ": CertReqPayload(4, bytes(20) * 30),
            "CP": asked,
            "SA": SaPayload(_offer(self.client.esp, ProtocolId.ESP, b"\0\0\x12\x34")),
            "TSi": TsPayload(PayloadType.TS_I, EVERYTHING),
            "TSr": TsPayload(PayloadType.TS_R, EVERYTHING),
            "N(MOBIKE_SUP)": NotifyPayload(NotifyType.MOBIKE_SUPPORTED),
            "N(INIT_CONTACT)": NotifyPayload(NotifyType.INITIAL_CONTACT),
            "N(ESP_TFC_PAD_N)": NotifyPayload(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
            "N(NON_FIRST_FRAG)": NotifyPayload(NotifyType.NON_FIRST_FRAGMENTS_ALSO),
        }
        if mic is not None:
            known["AUTH"] = mic
        return [known[word] for word in self.client.order.split() if word in known]

    def _header(self, exchange: ExchangeType, message_id: int) -> IkeHeader:
        return IkeHeader(self._spi_i, self.spi_r, exchange, HeaderFlag.INITIATOR, message_id)

    def _send(self, data: bytes) -> list[bytes]:
        effects = self.net.inject("b", self._path, data)
        return [e.data for e in effects if isinstance(e, Send)]


def _offer(texts: Sequence[str], protocol: ProtocolId, spi: bytes) -> tuple[Proposal, ...]:
    return proposals.numbered([one for text in texts for one in parse(text, protocol)], spi)


def assert_served(net: Network, client: Client, answer: Sequence[Payload]) -> None:
    """It has all that it asked for: its addresses, what else the pools say, and its child."""
    assert query.error(answer) is None
    reply = query.must(answer, CpPayload)
    assert client.told <= {one.type for one in reply.attributes}
    assert (C.INTERNAL_DNS_DOMAIN in {one.type for one in reply.attributes}) == (
        C.INTERNAL_DNS_DOMAIN in client.attributes
    )
    (state,) = net.b.manager.list_sas(net.now)
    assert [str(one) for one in state.network.leases] == ["10.3.0.1", "fd03::1"]
    (child,) = state.children
    assert [str(one) for one in child.ts_remote] == ["10.3.0.1/32", "fd03::1/128"]
    assert state.mobike == ("N(MOBIKE_SUP)" in client.order)
    assert state.encap  # a NAT is between them


@pytest.mark.parametrize("name", CLIENTS)
def test_it_gets_its_addresses_and_its_child(name: str) -> None:
    net, client = Network(GATEWAY, GATEWAY), CLIENTS[name]
    assert_served(net, client, RoadWarrior(net, client).connect())


def test_the_documentation_has_this_gateway() -> None:
    text, _ = blocks(DOCS / "road-warriors.md", "toml")
    text = text.replace('secret_file = "users.psk"', 'secret = "correct horse"')
    users = parse_config(text).connections["users"]
    own = GATEWAY.config("b").connections["ab"]
    assert users.proposals == own.proposals
    assert (users.pools, users.remote_addrs) == (own.pools, own.remote_addrs)
    (child,), (mine,) = users.children.values(), own.children.values()
    assert child.esp_proposals == mine.esp_proposals
    assert (child.local_ts, child.remote_ts) == (mine.local_ts, mine.remote_ts)


def test_a_client_is_told_the_group_that_we_want() -> None:
    """Android begins with Curve25519, for which the gateway has no proposal."""
    user = RoadWarrior(Network(GATEWAY, GATEWAY), CLIENTS["Android"])
    user.connect()
    assert user.groups == [31, 14]
