"""Settings of a real kernel: they are set where that is asked for and permitted, else a warning says how."""

from __future__ import annotations

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration

pytestmark = pytest.mark.root

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


def forwards(gateway: Gateway) -> list[str]:
    return gateway.namespace.run("sysctl", "-n", *FORWARDING).stdout.split()


def test_set_checked_and_read_only(pair: Pair) -> None:
    left, right = pair
    for gateway in pair:
        gateway.namespace.run("sysctl", "-q", "-w", *(f"{name}=0" for name in FORWARDING))
    left.start(configuration(LEFT, RIGHT) + '\n[daemon]\nsysctls = "set"\n')
    assert forwards(left) == ["1", "1"]
    assert "kernel: net.ipv4.ip_forward is 1 from now on" in left.log()

    right.start(configuration(RIGHT, LEFT))
    assert forwards(right) == ["0", "0"]
    assert right.log().count("dropped: sysctl -w net.ipv") == 2
    right.stop()
    read_only = "mount -o bind,ro /proc/sys /proc/sys"
    right.start(configuration(RIGHT, LEFT) + '\n[daemon]\nsysctls = "set"\n', before=read_only)
    assert forwards(right) == ["0", "0"]
    assert "it can't be set (Read-only file system): sysctl -w net.ipv4.ip_forward=1" in right.log()
    for gateway in pair:
        gateway.stop()
    assert forwards(left) == ["1", "1"], "what was set stays"
