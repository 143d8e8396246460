"""What `docs/configuration.md` and `ikepy schema` say of each key: type, what is allowed, meaning.

Defaults come from the model. A key of the model that has no entry here fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `allowed`, `meaning`: in Markdown. `type`: a word that the page explains in "Types"."""

    type: str
    allowed: str
    meaning: str


def _auth(*further: str) -> Key:
    """The same on both sides, but for the methods that only the gateway can ask a user for."""
    allowed = ("psk", "pubkey", *further, "eap-mschapv2", "eap-tls", "eap-md5", "eap-dynamic", "eap")
    words = [f'`"{word}"`' for word in allowed]
    words.insert(2, '`"pubkey"` with constraints')
    return Key(
        "auth",
        ", ".join(words),
        "a pre-shared key (RFC 7296 2.15), a [public key](#public-keys) with a signature (RFC 7427), or "
        "[EAP](#users-eap) (2.16)",
    )


KEYS: dict[str, dict[str, Key]] = {
    "connection": {
        "version": Key("integer", "2", "IKEv2 is the only version"),
        "local_addrs": Key(
            "list of address patterns",
            "at least one",
            "our addresses, best first, of a device or by a route of type `local`; one that is not there yet "
            "is waited for",
        ),
        "remote_addrs": Key(
            "list of address patterns",
            "at least one; an address or a DNS name if a child is to be initiated",
            "the peer's addresses, tried in turn; see [DNS names](#dns-names)",
        ),
        "local_port": Key(
            "integer", "0 to 65535: `daemon.port`, `daemon.port_nat_t`", "the UDP port to begin from"
        ),
        "remote_port": Key("integer", "1 to 65535", "the peer's UDP port"),
        "pq": Key(
            "word",
            '`"require"`, `"prefer"`, `"off"`',
            "keys that later quantum computers won't find: ML-KEM beside a classical exchange (RFC 9370), "
            'where `proposals` are absent or `"default"`; with `require` nothing else, and `proposals` must '
            "have it",
        ),
        "proposals": Key(
            "list of proposals", "IKE proposals", "what IKE_SAs are offered with and may be chosen from"
        ),
        "encap": Key("boolean", "", "forces UDP encapsulation by a false NAT detection hash (RFC 7296 2.23)"),
        "mobike": Key(
            "boolean", "", "MOBIKE (RFC 4555); without it the SAs are set up anew when our address goes"
        ),
        "fragmentation": Key(
            "word",
            '`"yes"`, `"accept"`, `"no"`; `"force"` means `"yes"`',
            'IKE fragmentation (RFC 7383); `"accept"`: fragments are taken, own messages are sent whole',
        ),
        "dpd_delay": Key("time", "", "silence after which liveness is checked (RFC 7296 2.4); 0: never"),
        "keyingtries": Key(
            "integer",
            "0 to 1000; 0: for ever",
            "tries to bring up a child. Absent: for ever if the child is configured to be up, else "
            "one; see [Tunnels that come back](#tunnels-that-come-back)",
        ),
        "ppk_id": Key(
            "identity",
            "",
            "postquantum preshared key (RFC 8784), of `[secrets.ppk-NAME]`: named as initiator; as responder "
            "the only one that is taken. Absent: none as initiator, any as responder",
        ),
        "ppk_required": Key("boolean", "", "no IKE_SA comes up without a postquantum preshared key"),
        "childless": Key(
            "word", '`"allow"`, `"prefer"`, `"force"`, `"never"`', "IKE_SAs without a first child (RFC 6023)"
        ),
        "redirect": Key(
            "word",
            '`"configured"`, `"follow"`, `"never"`',
            "whether a gateway may send us to another one (RFC 5685): to those that `remote_addrs` permits "
            '(`"configured"`), to any address or DNS name (`"follow"`), or not at all; see '
            "[Redirects](#redirects)",
        ),
        "redirect_to": Key(
            "address or DNS name",
            "",
            "the gateway that clients of this connection are sent to, once they are authenticated, if they "
            "support that. Absent: none",
        ),
        "resumption": Key(
            "boolean",
            "",
            "whether an IKE_SA that was interrupted goes on by a ticket, without a key exchange "
            "([RFC 5723](#restarts)): as client we ask for tickets, as gateway we grant them",
        ),
        "rekey_time": Key("time", "", "age at which an IKE_SA is rekeyed; 0: never"),
        "reauth_time": Key(
            "time", "", "age at which an IKE_SA is authenticated anew, make before break; 0: never"
        ),
        "over_time": Key(
            "time",
            "",
            "time from the start of a rekey to the end of the IKE_SA. Absent: a tenth of the longer "
            "of `rekey_time` and `reauth_time`",
        ),
        "rand_time": Key("time", "", "by up to this much chance brings a rekey forward. Absent: `over_time`"),
        "unique": Key(
            "word",
            '`"no"`, `"never"`, `"keep"`, `"replace"`',
            "several IKE_SAs of the connection with the same identities: kept, unless the peer sends "
            'INITIAL_CONTACT (`"no"`); kept whatever it sends (`"never"`); the new one refused '
            '(`"keep"`); the old one deleted (`"replace"`)',
        ),
        "max_ike_sas": Key("integer", "1 to 1000000", "IKE_SAs of the connection"),
        "max_ike_sas_per_identity": Key(
            "integer",
            "1 to 1000000",
            'IKE_SAs of one peer\'s identity; has no effect with `unique = "never"`, as many share '
            "the identity then",
        ),
        "max_children": Key("integer", "1 to 1000000", "children of one IKE_SA"),
        "max_children_in_all": Key("integer", "1 to 1000000", "children of the connection"),
        "send_cert": Key(
            "word",
            '`"ifasked"`, `"always"`, `"never"`',
            "whether our certificates are sent: if the peer asks for any (CERTREQ), always, or never",
        ),
        "impairments": Key(
            "list of texts",
            "at most 32, `NAME` or `NAME=VALUE`",
            "what the daemon does wrong on purpose with this peer; needs `daemon.impairments_allowed`",
        ),
        "experimental_mldsa": Key(
            "boolean",
            "",
            "signs with ML-DSA keys, and verifies their signatures (draft-ietf-ipsecme-ikev2-pqc-auth); an "
            "experiment, which may change with the draft",
        ),
        "send_certreq": Key("boolean", "", "asks the peer for certificates of the CAs that we accept"),
        "ocsp": Key(
            "word",
            '`"reply"`, `"request"`, `"both"`, `"never"`',
            "OCSP responses in IKE itself (RFC 4806): one about our certificate is sent if the peer asks and "
            "our certificate's OCSP responder gives one; the peer is asked for one, where `send_certreq` "
            "asks for certificates; both; neither",
        ),
        "local": Key("section", "", "how we authenticate"),
        "remote": Key("section", "", "how the peer has to authenticate"),
        "local2": Key("section", "", "how we authenticate a second time (RFC 4739). Absent: not at all"),
        "remote2": Key("section", "", "how the peer has to, a second time. Absent: not at all"),
        "vips": Key(
            "list of addresses",
            'at most 8; `"0.0.0.0"`, `"::"`: any',
            "[virtual addresses](#virtual-addresses) that we ask the peer for (RFC 7296 3.15)",
        ),
        "pools": Key(
            "list of texts",
            "at most 64 names",
            "the pools of `[pools.NAME]`, best first, from which peers get virtual addresses; without one "
            "a peer gets no child",
        ),
        "children": Key("sections", "at least one", "the CHILD_SAs"),
        "vti": Key("section", "", "the TUN device"),
        "probe": Key("section", "", "what is pinged through the tunnel, below. Absent: nothing"),
    },
    "local": {
        "auth": _auth(),
        "id": Key(
            "identity",
            "",
            "Absent: the subject of the first of `certs`, with `pubkey`; else our IKE address",
        ),
        "certs": Key(
            "list of files",
            "",
            "our certificates, PEM or DER, in `x509` beside this file or relative to it; of several, one of "
            "a CA that the peer asks for. Without any: one that is loaded and has our `id`",
        ),
        "pubkeys": Key("list of files", "", "our raw public keys (RFC 7670)"),
        "eap_id": Key(
            "text",
            "1 to 253 octets",
            "the EAP identity that we answer with, a user's name. Absent: `id`",
        ),
        "aaa_id": Key(
            "identity",
            "",
            "whose certificate the EAP server has to show (EAP-TLS). Absent: the peer's identity",
        ),
    },
    "remote": {
        "auth": _auth("eap-radius"),
        "id": Key("identity", "", 'Absent: anybody (`"%any"`)'),
        "certs": Key("list of files", "", "the peer's own certificates, which are believed as they are"),
        "cacerts": Key(
            "list of files",
            "",
            "CAs of which one must have issued the peer's certificate, in `x509ca` beside this file or "
            "relative to it. Without any, and without `certs` and `pubkeys`: all CAs that are loaded",
        ),
        "pubkeys": Key(
            "list of files",
            "",
            "the peer's own raw public keys (RFC 7670). Without `cacerts` a certificate of another key, and "
            "not in `certs`, is refused, whoever issued it",
        ),
        "ca_id": Key("identity", "", "of a CA that must be in the peer's chain. Absent: of any"),
        "cert_policy": Key("list of object identifiers", "", "policies, all of which the chain must have"),
        "revocation": Key(
            "word",
            '`"strict"`, `"ifuri"`, `"relaxed"`',
            "a certificate of which no CRL and no OCSP response is to be had: is refused; is refused if it, "
            "or its authority, says where there is one; is taken. One that is revoked is always refused",
        ),
        "hash_and_url": Key(
            "boolean",
            "",
            "tells the peer that it may give its certificate by hash and URL (RFC 7296 3.6), and fetches it "
            "there by HTTP. Whoever begins to authenticate then chooses what the gateway fetches",
        ),
        "eap_id": Key(
            "text",
            '1 to 253 octets; `"%any"`',
            "the EAP identity, a user's name. Absent: what the peer calls itself in IKE; "
            '`"%any"`: EAP asks for it',
        ),
    },
    "child": {
        "local_ts": Key("list of selectors", "at least one", "traffic selectors of our side"),
        "remote_ts": Key("list of selectors", "at least one", "traffic selectors of the peer's side"),
        "esp_proposals": Key(
            "list of proposals",
            "ESP proposals",
            "what the child is offered with and may be chosen from; with a key exchange: PFS",
        ),
        "mode": Key("word", '`"tunnel"`, `"transport"`', "tunnel mode, or [transport mode](#transport-mode)"),
        "start_action": Key(
            "word",
            '`"none"`, `"trap"`, `"start"`',
            "at the start of the daemon: nothing; wait for a packet; set the child up",
        ),
        "close_action": Key("word", '`"none"`, `"trap"`, `"start"`', "after the peer has deleted it"),
        "dpd_action": Key(
            "word",
            '`"none"`, `"trap"`, `"start"`; swanctl\'s `"clear"` and `"restart"` too',
            "after the peer has stopped answering",
        ),
        "replay_window": Key(
            "integer",
            "0 to 4096 packets; 0: no anti-replay",
            "swanctl's default is 32: peers reorder more than that. With 0 whoever has recorded a packet can "
            "have it delivered again, but not lead the peer's packets to another address",
        ),
        "tfc_padding": Key(
            "integer or word",
            '0 to 65535 octets, or `"mtu"`',
            'length to which inner packets are padded (RFC 4303 2.7); `"mtu"`: the device\'s MTU; 0: none',
        ),
        "rekey_time": Key("time", "", "age at which the child is rekeyed; 0: never"),
        "life_time": Key("time", "", "age at which it is deleted. Absent: `rekey_time` and a tenth"),
        "rand_time": Key(
            "time", "", "by up to this much chance brings a rekey forward. Absent: `life_time` - `rekey_time`"
        ),
        "rekey_bytes": Key(
            "amount", "", "octets of inner packets in one direction after which it is rekeyed"
        ),
        "life_bytes": Key(
            "amount", "", "octets after which it is deleted. Absent: `rekey_bytes` and a tenth"
        ),
        "rand_bytes": Key("amount", "", "as `rand_time`. Absent: `life_bytes` - `rekey_bytes`"),
        "rekey_packets": Key("amount", "", "packets in one direction after which it is rekeyed"),
        "life_packets": Key(
            "amount", "", "packets after which it is deleted. Absent: `rekey_packets` and a tenth"
        ),
        "rand_packets": Key("amount", "", "as `rand_time`. Absent: `life_packets` - `rekey_packets`"),
    },
    "vti": {
        "name": Key(
            "text",
            "1 to 15 letters, digits, `_`, `.`, `-`, no `-` in front",
            "the device. Absent: the connection's name, less what a device's name may not have",
        ),
        "addresses": Key(
            "list of addresses with prefix lengths",
            '`"169.254.10.1/30"`, `"fd00::1/126"`',
            "the device's addresses",
        ),
        "peers": Key(
            "list of addresses",
            "of a family that `addresses` has",
            "the other end's addresses, for point-to-point addressing",
        ),
        "routes": Key(
            "list of routes",
            '`"10.2.0.0/24"`, `"10.2.0.0/24 metric 50 table 100 src 10.1.0.1"`, `{ to = "10.2.0.0/24", '
            'metric = 50, table = 100, src = "10.1.0.1" }`',
            "networks that lead into the device, see [Routes](#routes). Absent: the negotiated remote "
            "selectors, unless they are 0/0",
        ),
        "mtu": Key(
            "integer",
            "576 to 65535 octets; with IPv6 at least 1280",
            "the device's MTU. Absent: the uplink's MTU less the suite's overhead",
        ),
        "mss_clamp": Key(
            "boolean", "", "lowers the MSS of TCP handshakes in both directions to the device's MTU"
        ),
        "table": Key(
            "table",
            "1 to 2^32 - 1, or a name in rt_tables; not `local`",
            "the routing table of the routes. Absent: main",
        ),
        "metric": Key(
            "integer",
            "1 to 2^32 - 1",
            "the metric of the routes. Absent: the kernel's, 0 for IPv4 and 1024 for IPv6",
        ),
        "src": Key(
            "list of addresses",
            "at most one of a family",
            "the preferred source address of the routes: of packets that this host begins",
        ),
    },
    "probe": {
        "targets": Key(
            "list of addresses", "at least one", "what is sent ICMP echo requests while the tunnel is up"
        ),
        "source": Key(
            "list of addresses",
            "one of each IP version",
            "where requests come from. Absent: the kernel chooses",
        ),
        "interval": Key("number", "0.1 to 3600 seconds", "between two requests to a target"),
        "timeout": Key("number", "0.1 to 60 seconds", "after which a request counts as lost"),
        "mtu": Key(
            "boolean",
            "",
            "whether packets of the device's MTU are tried, every ten minutes and on each new path; if none "
            "comes back, the largest that does is looked for",
        ),
    },
    "secret": {
        "ids": Key(
            "list of identities",
            "",
            "whose secret it is. Empty: anybody's. The entry that names the peer is taken, then one "
            "that names us too",
        ),
        "secret": Key("text", "text, `0x` and hex digits, or `0s` and base64", "the secret itself"),
        "secret_file": Key(
            "path",
            "a regular file of at most 65536 bytes",
            "a file with the secret; a relative path starts at the directory of the configuration. A "
            "byte order mark at the beginning and one line end (LF or CR LF) at the end are no part "
            "of it",
        ),
        "secret_env": Key("text", "an environment variable's name", "the variable that has the secret"),
    },
    "authority": {
        "cacert": Key(
            "file",
            "required; a CA's certificate",
            "in PEM or DER, or PEM itself; a relative name is looked for in `x509ca`, then beside this file",
        ),
        "crl_uris": Key(
            "list of texts", "at most 16, http://", "where its CRLs are, beside what its certificates say"
        ),
        "ocsp_uris": Key(
            "list of texts",
            "at most 16, http://",
            "where its OCSP responders are, beside what its certificates say",
        ),
    },
    "private_key": {
        "file": Key(
            "path",
            "a file that can be opened",
            "the private key: PKCS#8, PKCS#1 or SEC 1, in PEM or DER; or a PKCS#12 container, whose "
            "certificates are used, too. A relative name is looked for in the directory that is called as "
            "the section's name begins (`private`, ...), then beside this file",
        ),
        "secret": Key(
            "text", "text, `0x` and hex digits, or `0s` and base64", "the password, if the key is encrypted"
        ),
        "secret_file": Key("path", "a regular file of at most 65536 bytes", "a file with the password"),
        "secret_env": Key("text", "an environment variable's name", "the variable that has the password"),
    },
    "token": {
        "handle": Key("text", "pairs of hex digits", "the key's ID in the token (CKA_ID)"),
        "module": Key("path", "absolute, at most 107 bytes", "the token's PKCS#11 library"),
        "slot": Key(
            "integer", "0 to 4294967295", "the slot of the token. Absent: the first that has such a key"
        ),
        "pin": Key("text", "as `secret` above", "the PIN. Absent: the token asks for none"),
    },
    "radius": {
        "servers": Key("sections", "1 to 16", "the servers, below"),
        "nas_identifier": Key("text", "1 to 253 octets", "what we call ourselves (NAS-Identifier)"),
        "accounting": Key("boolean", "", "whether servers are told who comes and goes, and what it carried"),
        "accounting_interval": Key(
            "time", "", "between two interim reports; 0: as the server says (Acct-Interim-Interval)"
        ),
        "station_id_with_port": Key("boolean", "", "whether Called- and Calling-Station-Id have UDP ports"),
        "retransmit_timeout": Key("number", "0.1 to 60 seconds", "after which a request is sent again"),
        "retransmit_base": Key("number", "1 to 10", "by which that time grows with each sending"),
        "retransmit_tries": Key("integer", "0 to 10 times more", "then another server is asked"),
    },
    "radius_server": {
        "address": Key("host", "", "an IP address or a DNS name"),
        "auth_port": Key("integer", "1 to 65535", "the UDP port of authentication"),
        "acct_port": Key("integer", "1 to 65535", "the UDP port of accounting"),
        "preference": Key("integer", "0 to 1000", "the server with the higher one is asked first"),
        "secret": Key("text", "text, `0x` and hex digits, or `0s` and base64", "the secret shared with it"),
        "secret_file": Key("path", "a regular file of at most 65536 bytes", "a file with the secret"),
        "secret_env": Key("text", "an environment variable's name", "the variable that has the secret"),
    },
    "pool": {
        "addrs": Key(
            "text",
            "a network, whose own address and last one are left out, or a range; at most 2^31 addresses",
            'the addresses: `"10.3.0.0/24"`, `"10.3.0.5-10.3.0.99"`, `"fd03::/97"`',
        ),
        "dns": Key("list of addresses", "at most 32", "DNS servers (INTERNAL_IP4_DNS, INTERNAL_IP6_DNS)"),
        "nbns": Key("list of addresses", "at most 32, IPv4", "WINS servers"),
        "dhcp": Key("list of addresses", "at most 32", "DHCP servers"),
        "netmask": Key(
            "list of addresses", "at most one, IPv4", "INTERNAL_IP4_NETMASK, which clients may ignore"
        ),
        "server": Key(
            "list of addresses", "at most 32", "Microsoft's INTERNAL_IP4_SERVER, INTERNAL_IP6_SERVER"
        ),
        "subnet": Key(
            "list of networks",
            "at most 32",
            "what is reached through the tunnel (INTERNAL_IP4_SUBNET, INTERNAL_IP6_SUBNET): split networks",
        ),
        "split_include": Key("list of networks", "at most 32, IPv4", "the same in Cisco's words"),
        "split_exclude": Key("list of networks", "at most 32, IPv4", "what is not (Cisco's UNITY_LOCAL_LAN)"),
        "domains": Key(
            "list of texts",
            "at most 32 domain names",
            "whose names the DNS servers resolve (RFC 8598), for peers that ask for it",
        ),
        "encrypted_dns": Key(
            "list of texts",
            "at most 32",
            "resolvers with TLS, HTTPS or QUIC (RFC 9464), for peers that ask: name, addresses, parameters: "
            '`"dns.example.org 10.8.0.53 alpn=h2 dohpath=/dns-query{?dns}"`; `alpn` may stand there several '
            "times",
        ),
        "attributes": Key(
            "attributes",
            "numbers 1 to 32767, each with at most 32 values",
            "others by number, as swanctl.conf has them beside the names: an address, a network, `0x` and "
            "hex digits, or text",
        ),
    },
    "vxlan": {
        "vni": Key("integer", "1 to 16777215", "the VXLAN network identifier"),
        "device": Key(
            "text",
            "a device's name",
            "the underlay. Absent: whatever device the routes to the peers lead through",
        ),
        "port": Key(
            "integer",
            "1 to 65535",
            "the UDP port of VXLAN packets (RFC 7348); the kernel's own default, which kube-vxlan-controller "
            "leaves as it is, is 8472",
        ),
        "local": Key(
            "address",
            "",
            "the source address of VXLAN packets; with an IPv6 one the peers are IPv6. Absent: IPv4, as the "
            "kernel chooses",
        ),
        "peers": Key(
            "list of hosts",
            "IP addresses and DNS names",
            "where frames to all and to unknown addresses are sent; a name stands for all of its addresses "
            "but ours, and is looked up every 10 s",
        ),
        "addresses": Key(
            "list of addresses with prefix lengths",
            '`"10.7.0.1/24"`, `"fd07::1/64"`',
            "the device's addresses",
        ),
        "mtu": Key(
            "integer",
            "576 to 65535 octets; with IPv6 addresses at least 1280",
            "the device's MTU. Absent: the underlay's less 50 octets, 70 over IPv6; without `device` that of "
            "Ethernet less these",
        ),
    },
    "daemon": {
        "port": Key(
            "integer",
            "0 to 65535",
            "the UDP port of IKE; 0: one that the kernel chooses, for a daemon that only initiates",
        ),
        "port_nat_t": Key(
            "integer",
            "0 to 65535, not `port` unless 0",
            "the UDP port of IKE and ESP behind NATs; 0: as there",
        ),
        "retransmit_timeout": Key("number", "0.01 to 600 seconds", "the first retransmission's delay"),
        "retransmit_base": Key("number", "1 to 10", "the factor from one delay to the next"),
        "retransmit_tries": Key("integer", "0 to 100", "retransmissions until the peer counts as gone"),
        "retransmit_jitter": Key(
            "integer", "0 to 20 percent", "by up to this much chance shortens a delay; charon's default is 0"
        ),
        "retransmit_limit": Key("time", "0: none", "the longest delay"),
        "window_size": Key(
            "integer",
            "1 to 64 requests",
            "requests that a peer may have under way at once; told to it if more than one (RFC 7296 2.3)",
        ),
        "keep_alive": Key("time", "0: none", "interval of NAT keepalives (RFC 3948 2.3)"),
        "fragment_size": Key(
            "integer",
            "256 to 65535 octets; 0: 576 over IPv4, 1280 over IPv6",
            "the IP packet's length above which a message is fragmented",
        ),
        "old_secret_grace": Key(
            "time",
            "0: refused at once",
            "how long a secret that another one has replaced is accepted: the peer may change its own later",
        ),
        "half_open_timeout": Key(
            "number", "0.1 to 3600 seconds", "how long a peer may take from IKE_SA_INIT to IKE_AUTH"
        ),
        "cookie_threshold": Key(
            "integer",
            "0 to 1000000; 0: no cookies",
            "half-open IKE_SAs in all, those that came to nothing lately included, beyond which a "
            "COOKIE is asked for",
        ),
        "cookie_threshold_ip": Key("integer", "0 to 1000000; 0: no cookies", "the same of one address"),
        "block_threshold": Key(
            "integer",
            "0 to 1000000; 0: no limit",
            "half-open IKE_SAs of one address that have been silent for 12 s: beyond it the oldest "
            "makes room, where charon would answer nobody there",
        ),
        "init_limit_half_open": Key(
            "integer",
            "0 to 1000000; 0: no limit",
            "half-open IKE_SAs in all: beyond it the oldest makes room",
        ),
        "redirect_to": Key(
            "address or DNS name",
            "",
            "the gateway that all clients are sent to as they begin, if they support that (RFC 5685), to "
            "drain this one. Absent: none",
        ),
        "ticket_lifetime": Key(
            "number", "60 to 86400 seconds", "for how long a ticket is valid that a client gets (RFC 5723)"
        ),
        "strangers_cpu": Key(
            "number",
            "0 to 1000 percent of one CPU; 0: no limit",
            "CPU time for set-ups of peers that have not authenticated; see [Strangers](#strangers)",
        ),
        "invalid_selectors": Key(
            "boolean", "", "whether a peer is told of packets that its SA may not carry (RFC 4301 5.2)"
        ),
        "max_packet": Key(
            "integer",
            "1280 to 65507 octets",
            "one IKE message as it comes, perhaps reassembled from IP fragments",
        ),
        "max_message": Key(
            "integer",
            "1280 to 65507 octets",
            "all IKE fragments of a message together; of a stranger's never more than 24576",
        ),
        "max_fragments": Key("integer", "1 to 255", "IKE fragments of a message"),
        "max_payloads": Key("integer", "8 to 128", "payloads of a message"),
        "max_proposals": Key("integer", "1 to 64", "proposals of an SA payload"),
        "workers": Key("integer", "1 to 256", "worker slots. Absent: the CPUs that the daemon may use"),
        "worker_priority": Key(
            "integer",
            "0 to 99",
            "real-time priority of workers under load: they run before ordinary processes, as the "
            "kernel's own packet path does, and no CPU quota of a container holds them; 0: they stay "
            "ordinary",
        ),
        "user": Key(
            "text",
            'a user\'s name; `""`: control keeps its rights, in one process',
            "whom control becomes, beside a small [privileged process](security.md) that has its rights; by "
            "default `ikepy` if there is such a user, else nobody",
        ),
        "worker_user": Key(
            "text", 'a user\'s name; `""`: the user that starts the daemon', "whom workers become"
        ),
        "socket": Key(
            "path",
            "absolute, at most 107 bytes",
            "the control socket, for `ikepy` and [swanctl](vici.md). Its directory has to be there; ikepy "
            "makes `/run/ikepy` only",
        ),
        "state_dir": Key(
            "path",
            "absolute, at most 107 bytes; a directory of this daemon alone",
            "where keys are kept that outlive the daemon: after a crash peers are told at once "
            "([Restarts](#restarts)); and who has which [virtual address](#virtual-addresses). Absent: "
            "nowhere",
        ),
        "crash_detection": Key(
            "boolean",
            "",
            "whether peers get tokens by which they believe that we restarted (RFC 6290); needs `state_dir`. "
            "Theirs are believed in any case",
        ),
        "keylog_dir": Key(
            "path",
            "absolute, at most 107 bytes; for labs and debugging alone",
            "where **all keys** of IKE and ESP are written, for [Wireshark and `ikepy decode`](decode.md): "
            "who reads them there reads all traffic. Absent: nowhere",
        ),
        "socket_group": Key(
            "text",
            'a group\'s name or number; `""`: none',
            "whose members may use the control socket, as root and who starts the daemon always may: it "
            "has mode 0660 then, and `/run/ikepy` 0750",
        ),
        "log_level": Key(
            "word", '`"debug"`, `"info"`, `"warning"`, `"error"`', "the least level that the log shows"
        ),
        "log_levels": Key(
            "list of texts",
            '`"SUBSYSTEM=LEVEL"`, of `audit`, `config`, `control`, `daemon`, `device`, `esp`, `http`, `ike`, '
            "`net`",
            "other levels for some [subsystems](monitoring.md#the-log)",
        ),
        "log_format": Key(
            "word", '`"text"`, `"json"`', "a line for people, or an [object in JSON](monitoring.md#the-log)"
        ),
        "sysctls": Key(
            "word",
            '`"check"`, `"set"`, `"ignore"`',
            "settings of the kernel that networks behind this host need ([which](#kernel-settings)): "
            "`check` warns at the start of those that are otherwise, with the command; `set` sets them, and "
            "warns where that is not permitted",
        ),
        "http": Key("section", "", "`[daemon.http]`, below. Absent: nothing is served"),
        "impairments_allowed": Key(
            "boolean",
            "",
            "consent to `impairments` and to `ikepy run --impair`: a daemon that may break the protocol on "
            "purpose, for tests of other gateways; it protects nothing",
        ),
        "impairments": Key(
            "list of texts",
            "at most 32, `NAME` or `NAME=VALUE`",
            "what the daemon does wrong; `ikepy impair` lists [the impairments](impairments.md)",
        ),
    },
    "http": {
        "listen": Key(
            "text",
            'an address and a TCP port: `"127.0.0.1:9427"`, `"[::1]:9427"`, `"0.0.0.0:9427"`',
            "where it listens",
        ),
        "ready": Key(
            "word",
            '`"all"`, `"any"`, `"none"`',
            'which of the children with `start_action = "start"` have to be up for `/readyz`',
        ),
        "strongswan_names": Key(
            "boolean", "", "whether `/metrics` has the metrics of ipsec-prometheus-exporter, too"
        ),
        "ladder": Key(
            "boolean",
            "`listen` on loopback",
            "whether a [page](window.md#beside-a-daemon) shows the messages of IKE, to read only. Its "
            "address, with a secret, is in `ladder.url` beside the control socket",
        ),
    },
    "router_advertisement": {
        "connections": Key(
            "list of texts",
            "names of connections",
            "the connections on which the advertisements depend. Empty: those with IPv6 networks in the "
            "`remote_ts` of a child",
        ),
        "require": Key(
            "word",
            '`"any"`, `"all"`',
            "whether one of these connections has to be up (carry IPv6 under an SA), or all",
        ),
        "default_router": Key(
            "boolean", "", "whether hosts take us as default router; without it they get `routes` only"
        ),
        "router_lifetime": Key(
            "time",
            "`max_interval` to 9000 seconds",
            "how long they do, unless another advertisement comes. Absent: three times `max_interval`",
        ),
        "preference": Key(
            "word", '`"low"`, `"medium"`, `"high"`', "of us as default router, among others (RFC 4191)"
        ),
        "routes": Key(
            "list of networks",
            "at most 256, IPv6",
            "networks behind us, as route information (RFC 4191). Absent: none, or with "
            "`default_router = false` the IPv6 `vti.routes`, or negotiated remote selectors, of the "
            "connections that are up",
        ),
        "route_lifetime": Key(
            "time", "at least `max_interval`", "of these routes. Absent: three times `max_interval`"
        ),
        "route_preference": Key("word", '`"low"`, `"medium"`, `"high"`', "of these routes"),
        "prefixes": Key(
            "list of networks", "at most 32, IPv6", "prefixes of the link, of which hosts make addresses"
        ),
        "on_link": Key("boolean", "", "the L flag: addresses of `prefixes` are reached without a router"),
        "autonomous": Key("boolean", "", "the A flag: hosts make addresses of `prefixes` (SLAAC, RFC 4862)"),
        "valid_lifetime": Key("time", "", "how long these addresses may be used"),
        "preferred_lifetime": Key(
            "time", "at most `valid_lifetime`", "how long new flows may begin from them"
        ),
        "deprecate": Key(
            "boolean",
            "",
            "whether the prefixes' preferred lifetime becomes 0 with the withdrawal, so that hosts with "
            "other addresses begin no flows from these",
        ),
        "rdnss": Key("list of addresses", "at most 16, IPv6", "DNS servers (RFC 8106)"),
        "dnssl": Key("list of texts", "at most 16 domain names in ASCII", "the DNS search list (RFC 8106)"),
        "dns_lifetime": Key("time", "at least `max_interval`", "of both. Absent: three times `max_interval`"),
        "mtu": Key(
            "integer", "1280 to 65535 octets", "the MTU that all hosts of the link use. Absent: none is told"
        ),
        "hop_limit": Key("integer", "0 to 255; 0: none is told", "the hop limit that hosts use"),
        "managed": Key("boolean", "", "the M flag: addresses by DHCPv6"),
        "other_config": Key("boolean", "", "the O flag: other settings by DHCPv6"),
        "reachable_time": Key(
            "integer",
            "0 to 3600000 milliseconds; 0: none is told",
            "how long a neighbour counts as reachable",
        ),
        "retrans_timer": Key(
            "integer", "0 to 4294967295 milliseconds; 0: none is told", "between neighbour solicitations"
        ),
        "source_link_layer": Key("boolean", "", "whether our Ethernet address is told"),
        "max_interval": Key("number", "4 to 1800 seconds", "the longest time between two advertisements"),
        "min_interval": Key(
            "number",
            "3 to 1350 seconds, at most three quarters of `max_interval`",
            "the shortest time. Absent: 0.33 of `max_interval`, at least 3",
        ),
    },
}
