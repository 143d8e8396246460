"""What a capture is held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.lab.bed import Lab
from ikepy.lab.capture import Seen
from ikepy.lab.dissect import Frame
from ikepy.lab.links import Link, encapsulated, links, verdict
from ikepy.lab.state import Options

ESP = ("Ethernet", "IPv4", "ESP")
IN_UDP = ("Ethernet", "IPv4", "UDP 4500", "ESP")
PLAIN = ("Ethernet", "IPv4", "ICMP")
INIT = ("Ethernet", "IPv4", "UDP 500", "IKE IKE_SA_INIT")
AUTH = ("Ethernet", "IPv4", "UDP 4500", "IKE IKE_AUTH")
DELETE = ("Ethernet", "IPv4", "UDP 4500", "IKE INFORMATIONAL")


def l3(options: Options, tmp_path: Path) -> Link:
    """The link over the internet."""
    found = links(Lab(options, "none-", tmp_path))
    return next(link for link in found if link.name.startswith("L3"))


def seen(*stacks: tuple[str, ...], fragment: bool = False) -> Seen:
    counted = Seen()
    for stack in stacks:
        counted.add(Frame(stack, fragment=fragment))
    return counted


def test_native_esp(tmp_path: Path) -> None:
    link = l3(Options(), tmp_path)
    assert verdict(link, seen(INIT, AUTH, ESP, ESP, DELETE)).ok
    assert not verdict(link, seen(INIT, AUTH, ESP, IN_UDP)).ok
    assert not verdict(link, seen(INIT, AUTH)).ok
    assert not verdict(link, seen()).ok


def test_nothing_plain_over_the_internet(tmp_path: Path) -> None:
    judged = verdict(l3(Options(), tmp_path), seen(INIT, AUTH, ESP, PLAIN))
    assert [(right, stack) for right, _, stack in judged.rows if not right] == [(False, PLAIN)]


def test_no_fragments_over_the_internet(tmp_path: Path) -> None:
    judged = verdict(l3(Options(), tmp_path), seen(INIT, AUTH, ESP, fragment=True))
    assert judged.fragments == 3
    assert not judged.ok


@pytest.mark.parametrize(
    "options", [Options(nat=True), Options(peer="strongswan"), Options(cgw="strongswan")]
)
def test_esp_in_udp(options: Options, tmp_path: Path) -> None:
    assert encapsulated(Lab(options, "none-", tmp_path))
    link = l3(options, tmp_path)
    assert verdict(link, seen(INIT, AUTH, IN_UDP)).ok
    assert not verdict(link, seen(INIT, AUTH, ESP)).ok
    assert not verdict(link, seen(INIT, ("Ethernet", "IPv4", "UDP 500", "IKE IKE_AUTH"), IN_UDP)).ok


def test_what_is_expected_but_missing_is_a_row(tmp_path: Path) -> None:
    judged = verdict(l3(Options(), tmp_path), seen(INIT, AUTH))
    assert (False, 0, ESP) in judged.rows


def test_what_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    assert not verdict(
        l3(Options(), tmp_path), seen(INIT, AUTH, ESP, ("Ethernet", "IPv4", "UDP 500", "?"))
    ).ok


def test_neighbours_are_left_out(tmp_path: Path) -> None:
    judged = verdict(l3(Options(), tmp_path), seen(INIT, AUTH, ESP, ("Ethernet", "ARP")))
    assert judged.ok


def test_every_pair_of_ends_once() -> None:
    from ipaddress import ip_address

    a, b = ip_address("192.0.2.1"), ip_address("192.0.2.2")
    counted = Seen()
    counted.add(Frame(ESP, a, b))
    counted.add(Frame(ESP, b, a))
    assert verdict(Link("L3", "cgw", "eth0", (ESP,), (ESP,)), counted).ends == ("192.0.2.1 <-> 192.0.2.2",)
