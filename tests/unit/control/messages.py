"""What a daemon sends for list-sas, list-conns and others, as `ikepy.control.client` has it."""

from __future__ import annotations

from typing import Any

CHILD: dict[str, Any] = {
    "name": "net",
    "uniqueid": "2",
    "reqid": "1",
    "state": "INSTALLED",
    "mode": "TUNNEL",
    "protocol": "ESP",
    "encap": "yes",
    "spi-in": "c0000001",
    "spi-out": "c0000002",
    "encr-alg": "AES_GCM_16",
    "encr-keysize": "128",
    "bytes-in": "840",
    "packets-in": "10",
    "use-in": "2",
    "bytes-out": "0",
    "packets-out": "0",
    "rekey-time": "3300",
    "life-time": "3900",
    "install-time": "60",
    "local-ts": ["0.0.0.0/0", "::/0"],
    "remote-ts": ["10.2.0.0/24"],
}
OUR_CHILD = CHILD | {
    "ikepy-suite": "AES_GCM_16_128",
    "ikepy-out-seq": "0",
    "ikepy-device": "vti0",
    "ikepy-drops": ["replay = 0"],
}
IKE: dict[str, Any] = {
    "uniqueid": "1",
    "version": "2",
    "state": "ESTABLISHED",
    "local-host": "192.0.2.1",
    "local-port": "4500",
    "local-id": "gwa",
    "remote-host": "192.0.2.2",
    "remote-port": "4500",
    "remote-id": "gwb",
    "initiator": "yes",
    "initiator-spi": "0102030405060708",
    "responder-spi": "1112131415161718",
    "nat-local": "yes",
    "nat-any": "yes",
    "encr-alg": "AES_GCM_16",
    "encr-keysize": "128",
    "prf-alg": "PRF_HMAC_SHA2_256",
    "dh-group": "CURVE_25519",
    "established": "61",
    "rekey-time": "14000",
    "reauth-time": "28000",
    "tasks-queued": ["CHILD_REKEY"],
    "tasks-active": ["IKE_DPD", "CHILD_CREATE"],
    "child-sas": {"net-2": CHILD},
}
OUR_IKE = IKE | {
    "ikepy-encap": "yes",
    "ikepy-suite": "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519",
    "ikepy-established": "61",
    "child-sas": {"net-2": OUR_CHILD},
}
CONN: dict[str, Any] = {
    "local_addrs": ["192.0.2.1"],
    "remote_addrs": ["%any"],
    "version": "IKEv2",
    "reauth_time": "0",
    "rekey_time": "14400",
    "dpd_delay": "30",
    "local-1": {"id": "gwa", "class": "pre-shared key"},
    "remote-1": {"id": "%any", "class": "pre-shared key"},
    "ikepy-encap": "no",
    "ikepy-proposals": ["AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"],
    "ikepy-device": "vti0",
    "ikepy-addresses": ["169.254.10.1/30"],
    "ikepy-peers": ["169.254.10.2"],
    "ikepy-mss-clamp": "no",
    "children": {
        "net": {
            "mode": "TUNNEL",
            "rekey_time": "3600",
            "rekey_bytes": "0",
            "rekey_packets": "1000000",
            "dpd_action": "start",
            "local-ts": ["0.0.0.0/0", "::/0"],
            "remote-ts": ["dynamic"],
            "ikepy-esp-proposals": ["AES_GCM_16_128/NO_ESN"],
            "ikepy-start-action": "trap",
        }
    },
}
STATS: dict[str, Any] = {
    "uptime": {"running": "3 minutes", "since": "Nov 28 22:00:00 2026"},
    "workers": {
        "total": "2",
        "idle": "1",
        "active": {"critical": "0", "high": "0", "medium": "1", "low": "0"},
    },
    "queues": {"critical": "0", "high": "0", "medium": "0", "low": "0"},
    "scheduled": "4",
    "ikesas": {"total": "1", "half-open": "0"},
    "plugins": ["ikev2", "psk"],
}
