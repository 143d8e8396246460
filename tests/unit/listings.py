"""What a daemon answers to list-sas and list-conns."""

from ikepy.listing import ChildSa, Connection, IkeSa

CHILD_SA: ChildSa = {
    "name": "net",
    "child_id": 2,
    "state": "INSTALLED",
    "encap": True,
    "suite": "AES_GCM_16_128",
    "esn": False,
    "spi_in": "c0000001",
    "spi_out": "c0000002",
    "ts_local": ["0.0.0.0/0", "::/0"],
    "ts_remote": ["10.2.0.0/24"],
    "installed": 60,
    "in_bytes": 840,
    "in_packets": 10,
    "in_last": 2,
    "out_bytes": 0,
    "out_packets": 0,
    "out_last": None,
    "out_seq": 0,
    "device": "vti0",
    "drops": {"replay": 0},
}
IKE_SA: IkeSa = {
    "connection": "site-b",
    "ike_id": 1,
    "state": "ESTABLISHED",
    "initiator": True,
    "spi_i": "0102030405060708",
    "spi_r": "1112131415161718",
    "local_id": "gwa",
    "remote_id": "gwb",
    "local": "192.0.2.1[4500]",
    "remote": "192.0.2.2[4500]",
    "nat_local": True,
    "nat_remote": False,
    "encap": True,
    "suite": "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519",
    "established": 61,
    "network": {"addresses": [], "subnets": [], "dns_servers": [], "domains": []},
    "children": [CHILD_SA],
}
CONNECTION: Connection = {
    "name": "site-b",
    "local_addrs": ["192.0.2.1"],
    "remote_addrs": ["%any"],
    "local": {"auth": "psk", "id": "gwa"},
    "remote": {"auth": "psk", "id": "%any"},
    "encap": False,
    "proposals": ["AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"],
    "children": [
        {
            "name": "net",
            "local_ts": ["0.0.0.0/0", "::/0"],
            "remote_ts": ["dynamic"],
            "esp_proposals": ["AES_GCM_16_128/NO_ESN"],
            "start_action": "trap",
        }
    ],
    "vti": {
        "name": "vti0",
        "addresses": ["169.254.10.1/30"],
        "peers": ["169.254.10.2"],
        "routes": None,
        "mtu": None,
        "mss_clamp": False,
        "table": None,
        "metric": None,
        "src": [],
    },
}
