"""list-sas and list-conns as text, in swanctl's form."""

from ikepy import listing
from ikepy.listing import IkeSa, Network
from tests.unit.listings import CHILD_SA, CONNECTION, IKE_SA


def test_sas() -> None:
    assert list(listing.sas([IKE_SA])) == [
        "site-b: #1, ESTABLISHED, IKEv2, 0102030405060708_i* 1112131415161718_r",
        "  local  'gwa' @ 192.0.2.1[4500], behind NAT",
        "  remote 'gwb' @ 192.0.2.2[4500]",
        "  AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519",
        "  established 61s ago, rekeying in 14000s, reauth in 28000s",
        "  queued:  CHILD_REKEY",
        "  active:  IKE_DPD CHILD_CREATE",
        "  net: #2, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16_128, device vti0",
        "    installed 60s ago, rekeying in 3300s, expires in 3900s",
        "    in  c0000001,    840 bytes,    10 packets,     2s ago",
        "    out c0000002,      0 bytes,     0 packets",
        "    local  0.0.0.0/0 ::/0",
        "    remote 10.2.0.0/24",
    ]


def test_what_an_ike_sa_gives_its_device() -> None:
    network: Network = {
        "addresses": ["10.7.0.5/32", "fd07::5/64"],
        "subnets": ["10.8.0.0/16"],
        "dns_servers": ["10.8.0.53"],
        "domains": ["example.org"],
        "encrypted_dns": ["dns.example.org 10.8.0.54"],
        "leases": ["10.3.0.1"],
    }
    sa: IkeSa = {**IKE_SA, "network": network, "children": []}
    assert list(listing.sas([sa]))[7:] == [
        "  addresses 10.7.0.5/32 fd07::5/64",
        "  routes 10.8.0.0/16",
        "  DNS servers 10.8.0.53",
        "  domains example.org",
        "  encrypted DNS dns.example.org 10.8.0.54",
        "  the peer has 10.3.0.1",
    ]


def test_responder_without_nat_and_before_it_is_established() -> None:
    sa = IKE_SA | {
        "initiator": False,
        "remote_id": "",
        "remote_eap_id": "",
        "nat_local": False,
        "suite": "",
        "established": None,
        "tasks_queued": [],
        "tasks_active": [],
        "children": [],
        "state": "CONNECTING",
    }
    assert list(listing.sas([sa])) == [
        "site-b: #1, CONNECTING, IKEv2, 0102030405060708_i 1112131415161718_r*",
        "  local  'gwa' @ 192.0.2.1[4500]",
        "  remote 192.0.2.2[4500]",
    ]


def test_times_that_are_off() -> None:
    child = CHILD_SA | {"rekey_in": None, "expires_in": None}
    sa = IKE_SA | {"rekey_in": None, "reauth_in": None, "children": [child]}
    found = list(listing.sas([sa]))
    assert "  established 61s ago" in found and "    installed 60s ago" in found
    assert "  net: #2, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16_128, device vti0" in found


def test_child_with_esn_native_esp_and_drops() -> None:
    child = CHILD_SA | {"encap": False, "esn": True, "drops": {"replay": 3, "integrity": 0, "selectors": 1}}
    found = list(listing.sas([IKE_SA | {"children": [child]}]))
    assert "  net: #2, INSTALLED, TUNNEL, ESP:AES_GCM_16_128/ESN, device vti0" in found
    assert found[-1] == "    dropped replay 3, selectors 1"


def test_quantum_safe() -> None:
    found = list(
        listing.sas(
            [IKE_SA | {"quantum_safe": True, "ppk": True, "children": [CHILD_SA | {"quantum_safe": True}]}]
        )
    )
    assert "  AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/PPK, quantum-safe" in found
    assert "  net: #2, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16_128, quantum-safe, device vti0" in found


def test_connections() -> None:
    assert list(listing.connections([CONNECTION])) == [
        "site-b: IKEv2, no reauthentication, rekeying every 14400s, dpd delay 30s",
        "  local:  192.0.2.1",
        "  remote: %any",
        "  proposals: AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519",
        "  local pre-shared key authentication:",
        "    id: gwa",
        "  remote pre-shared key authentication:",
        "    id: %any",
        "  net: TUNNEL, rekeying every 3600s or 1000000 packets, dpd action is start, start action is trap",
        "    local:  0.0.0.0/0 ::/0",
        "    remote: dynamic",
        "    proposals: AES_GCM_16_128/NO_ESN",
        "  device vti0:",
        "    addresses: 169.254.10.1/30",
        "    peers: 169.254.10.2",
        "    routes: negotiated",
        "    mtu: from the uplink",
    ]


def test_connections_without_renewal() -> None:
    child = CONNECTION["children"][0] | {"rekey_time": 0, "rekey_packets": 0}
    connection = CONNECTION | {"reauth_time": 86400, "rekey_time": 0, "dpd_delay": 0, "children": [child]}
    found = list(listing.connections([connection]))
    assert found[0] == "site-b: IKEv2, reauthentication every 86400s, no rekeying"
    assert "  net: TUNNEL, no rekeying, start action is trap" in found


def test_fixed_device() -> None:
    vti = CONNECTION["vti"] | {
        "addresses": [],
        "peers": [],
        "routes": ["10.2.0.0/24"],
        "mtu": 1400,
        "table": 7,
        "metric": 50,
        "src": ["10.1.0.1"],
    }
    assert list(listing.connections([CONNECTION | {"vti": vti}]))[-6:] == [
        "  device vti0:",
        "    routes: 10.2.0.0/24",
        "    mtu: 1400",
        "    table: 7",
        "    metric: 50",
        "    source addresses: 10.1.0.1",
    ]


def test_drops() -> None:
    workers = {"worker 0 (vti0)": {"unknown SPI": 12, "replay": 0}, "worker 1 (vti1)": {}}
    assert list(listing.drops(workers)) == [
        "worker 0 (vti0):",
        "        12 unknown SPI",
        "worker 1 (vti1): nothing dropped",
    ]
