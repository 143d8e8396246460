"""Traffic selectors and addresses in swanctl's notation."""

from ipaddress import ip_address, ip_network

import pytest

from esp.packet.selectors import Selector
from ikepy.config import values
from tests.unit.config.example import good, minimal


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("10.1.0.0/16", Selector.of("10.1.0.0/16")),
        ("10.1.0.7", Selector.of("10.1.0.7/32")),
        ("::/0", Selector.of("::/0")),
        ("fd00:1::/64", Selector.of("fd00:1::/64")),
        ("10.0.0.5-10.0.0.9", Selector(4, 0x0A000005, 0x0A000009)),
        ("10.1.0.0/16[tcp]", Selector.of("10.1.0.0/16", 6)),
        ("10.1.0.0/16[6]", Selector.of("10.1.0.0/16", 6)),
        ("10.1.0.0/16[tcp/443]", Selector.of("10.1.0.0/16", 6, 443, 443)),
        ("10.1.0.0/16[udp/1024-2048]", Selector.of("10.1.0.0/16", 17, 1024, 2048)),
        ("10.1.0.0/16[udp/opaque]", Selector.of("10.1.0.0/16", 17, 65535, 0)),
        ("10.1.0.0/16[any/any]", Selector.of("10.1.0.0/16")),
        ("fd00::/8[icmpv6]", Selector.of("fd00::/8", 58)),
    ],
)
def test_selectors(text: str, selector: Selector) -> None:
    assert values.selector(text) == selector


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("10.0.0.1/8", 'did you mean "10.0.0.0/8"'),
        ("everything", "not a selector"),
        ("10.0.0.9-10.0.0.5", "ends before it begins"),
        ("10.0.0.9-fd00::", "ends before it begins"),
        ("10.0.0.0/8[tcp/70000]", "no port"),
        ("10.0.0.0/8[tcp/9-5]", "ends before it begins"),
        ("10.0.0.0/8[icmp/8]", "needs a protocol that has ports"),
        ("10.0.0.0/8[/53]", "needs a protocol that has ports"),
        ("10.0.0.0/8[nosuchprotocol]", "unknown protocol"),
        ("10.0.0.0/8[300]", "not a protocol"),
        ("10.0.0.0/8[tcp", "not a selector"),
        ("dynamic[tcp]", '"dynamic" with a protocol is not supported'),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part.replace("[", r"\[")):
        values.selector(text)


def test_dynamic_becomes_the_ike_address() -> None:
    child = good(minimal(child='local_ts = ["dynamic", "10.1.0.0/16"]')).connections["a"].children["net"]
    own, peer = ip_address("192.0.2.1"), ip_address("fd00::2")
    assert child.local_selectors(own) == (Selector.of("192.0.2.1/32"), Selector.of("10.1.0.0/16"))
    assert child.remote_selectors(peer) == (Selector.of("fd00::2/128"),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("192.0.2.1", ip_address("192.0.2.1")),
        ("192.0.2.0/24", ip_network("192.0.2.0/24")),
        ("%any", "%any"),
        ("%any4", ip_network("0.0.0.0/0")),
        ("%any6", ip_network("::/0")),
    ],
)
def test_address_patterns(text: str, value: object) -> None:
    assert values.address_pattern(text) == value
