"""Whether the kernel forwards what hosts send to a router that announces itself (sysctl(8), ip-sysctl)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SETTINGS = Path("/proc/sys/net/ipv6/conf")


def lacking(interface: str, settings: Path = SETTINGS) -> Iterator[str]:
    """What has to be set, in words with the command; nothing where that can't be read."""
    for scope, consequence in (
        ("all", "IPv6 is not forwarded: what hosts send here, because we announce ourselves, is dropped"),
        (
            interface,
            f"neighbours on {interface} are told that this is no router, so that they drop the default route",
        ),
    ):
        try:
            value = (settings / scope / "forwarding").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == "0":
            yield f"{consequence}: sysctl -w net.ipv6.conf.{scope}.forwarding=1"
