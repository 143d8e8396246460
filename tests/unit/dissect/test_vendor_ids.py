"""Vendor IDs: known hashes and texts; everything else is shown as it is."""

from __future__ import annotations

import pytest

from ikepy.dissect.vendor_ids import vendor


@pytest.mark.parametrize(
    ("digits", "name"),
    [
        ("882fe56d6fd20dbc2251613b2ebe5beb", "strongSwan"),
        ("4a131c81070358455c5728f20e95452f", "NAT traversal of IKEv1 (RFC 3947)"),
        ("afcad71368a1f1c96b8696fc77570100", "dead peer detection (RFC 3706)"),
        ("1e2b516905991c7d7c96fcbfb587e46100000009", "Windows"),
        ("fb1de3cdf341b7ea16b7e5be0855f120", "Windows: negotiation discovery"),
        ("e3a5966a76379fe707228231e5ce8652", "Windows: cryptographically generated addresses"),
        ("26244d38eddb61b3172a36e3d0cfb819", "Windows: initial contact"),
        ("434953434f2d44454c4554452d524541534f4e", "Cisco: reasons of deletes (CISCO-DELETE-REASON)"),
        ("464c455856504e2d535550504f52544544", "Cisco FlexVPN (FLEXVPN-SUPPORTED)"),
        ("4f452d4c696272657377616e2d342e3130", "libreswan (OE-Libreswan-4.10)"),
        ("68656c6c6f", "hello"),
        ("00010203", ""),
        ("6869", ""),
        ("", ""),
    ],
)
def test_name(digits: str, name: str) -> None:
    assert vendor(bytes.fromhex(digits)) == name
