"""Follows one ping from pod1 to the site and back, device by device, also inside ESP.

A packet socket sees the ping's own octets on every device but the uplinks. There it is the ESP packet that,
opened with the lab's keys, holds this very ping; without keys, the one that passes at the right time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ikepy.dissect.frames import dissect_frame
from ikepy.dissect.render.as_json import node_value
from ikepy.dissect.tree import Layer
from ikepy.lab.bed import Lab
from ikepy.lab.dissect import ARPHRD_ETHER
from ikepy.web.lab.frames import Frame
from ikepy.web.lab.inner import Echo, echo_of
from ikepy.web.lab.udp import datagram_of

# An ESP packet -> its layers; the packet inside is the last of them.
Open = Callable[[bytes], tuple[Layer, ...]]

# (node, device, does it leave the node there, is it the reply) -> heading, and what happens there.
_STEPS: dict[tuple[str, str, bool, bool], tuple[str, str]] = {
    ("pod1", "vxeth0", True, False): (
        "pod1 sends the ping",
        "The pod's route to 10.2.0.0/24 names the gateway as next hop, so that the frame goes to the "
        "gateway's address on "
        "the segment.",
    ),
    ("pod1", "eth0", True, False): (
        "The segment is a tunnel",
        "VXLAN puts the whole frame into UDP: 50 octets more, and the pods' network carries it to the "
        "gateway's node.",
    ),
    ("cgw", "eth1", False, False): (
        "It arrives at the gateway's node",
        "Still in UDP: the kernel takes VXLAN off.",
    ),
    ("cgw", "vxeth0", False, False): (
        "The frame is out of VXLAN",
        "The gateway is a router: it takes the Ethernet header off, and looks for a route.",
    ),
    ("cgw", "@vti", True, False): (
        "The route leads into the TUN device",
        "A bare IP packet, no link below it. ikepy reads it from the device, and finds the outbound SA by "
        "its addresses.",
    ),
    ("cgw", "eth0", True, False): (
        "ESP",
        "The packet is encrypted and authenticated, and has new IP addresses: gateway to gateway.",
    ),
    ("nat", "outside", True, False): (
        "The NAT changes address and port",
        "It can, as ESP is in UDP. What ESP protects is inside, and stays as it is.",
    ),
    ("internet", "right", True, False): (
        "A router of the internet",
        "It sees two gateways that talk. Who talks to whom behind them is hidden; how much and when is not.",
    ),
    ("c4", "eth0", False, False): (
        "The other gateway",
        "The SPI names the SA: replay window, integrity check, decryption, and the selectors are compared.",
    ),
    ("c4", "@vti", False, False): (
        "Out of the TUN device",
        "The very packet that went into the other one. The kernel routes it on.",
    ),
    ("c4", "lan", True, False): ("To the site's network", "A new Ethernet header, for the last link."),
    ("site", "eth0", False, False): ("The site has it", "And answers: an echo reply with the same octets."),
}
_BACK: dict[tuple[str, str, bool, bool], tuple[str, str]] = {
    ("site", "eth0", True, True): ("The site answers", "Source and destination change places."),
    ("c4", "lan", False, True): (
        "At the other gateway",
        "Its route to 10.1.0.0/24 leads into its TUN device.",
    ),
    ("c4", "@vti", True, True): (
        "Into the TUN device",
        "Read by ikepy, and sealed under the SA of this direction.",
    ),
    ("c4", "eth0", True, True): (
        "ESP, the way back",
        "Another SA with keys of its own: an SA has one direction, and two of them make a tunnel.",
    ),
    ("internet", "left", True, True): ("The router again", "Nothing to see, as before."),
    ("nat", "inside", True, True): (
        "The NAT finds its mapping",
        "So that the packet goes on to the inner address.",
    ),
    ("cgw", "eth0", False, True): (
        "Back at the gateway",
        "Checked, decrypted, and compared with the selectors.",
    ),
    ("cgw", "@vti", False, True): (
        "Out of the TUN device",
        "The kernel has a route to the pod: the segment.",
    ),
    ("cgw", "vxeth0", True, True): ("Into the segment", "An Ethernet frame for the pod."),
    ("cgw", "eth1", True, True): ("VXLAN again", "The frame in UDP, to the pod's node."),
    ("pod1", "eth0", False, True): ("At the pod's node", "The kernel takes VXLAN off."),
    ("pod1", "vxeth0", False, True): ("pod1 has its answer", "ping prints the time that all of this took."),
}
STEPS = _STEPS | _BACK


@dataclass(frozen=True, slots=True)
class Hop:
    """One device that the ping passes."""

    frame: Frame
    heading: str
    text: str
    layers: tuple[Layer, ...]


def hops(lab: Lab, frames: Iterable[Frame], opened: Open) -> list[Hop]:
    """The way of the first ping in these frames that has an answer (else of the first), in the order of
    time."""
    frames = sorted(frames, key=lambda frame: frame.time)
    echoes = [(frame, echo) for frame in frames if (echo := echo_of(frame.octets, frame.link)) is not None]
    key = _chosen([echo for _, echo in echoes])
    if key is None:
        return []
    devices = {"cgw": lab.cgw.device, "c4": lab.c4.device}
    inside = {id(frame): echo for frame, echo in echoes}
    found: list[Hop] = []
    done: set[tuple[str, str, bool, bool]] = set()
    for frame in frames:
        layers: tuple[Layer, ...] = ()
        echo = inside.get(id(frame))
        if echo is None and (datagram := datagram_of(frame.octets, frame.link)) is not None and datagram.esp:
            layers = opened(datagram.esp)
            echo = echo_of(layers[-1].octets, 0) if len(layers) > 1 else _timed(frame, echoes, devices)
        if echo is None or echo.key != key:
            continue
        device = "@vti" if frame.device == devices.get(frame.node) else frame.device
        place = (frame.node, device, frame.outgoing, echo.is_reply)
        if place in STEPS and place not in done:
            done.add(place)
            whole = dissect_frame(frame.octets, ethernet=frame.link == ARPHRD_ETHER)
            found.append(Hop(frame, *STEPS[place], (whole, *layers)))
    return found


def _chosen(echoes: list[Echo]) -> object:
    """The first ping with an answer, else the first; None without any."""
    answered = {echo.key for echo in echoes if echo.is_reply}
    return next((echo.key for echo in echoes if echo.key in answered), echoes[0].key if echoes else None)


def _timed(frame: Frame, echoes: list[tuple[Frame, Echo]], devices: dict[str, str]) -> Echo | None:
    """Without keys: the last ping that went into a gateway's device before this packet left the gateways."""
    before = [
        echo
        for other, echo in echoes
        if other.time <= frame.time and other.outgoing and devices.get(other.node) == other.device
    ]
    return before[-1] if before else None


def describe(found: list[Hop]) -> dict[str, object]:
    """For the page."""
    begin = found[0].frame.time if found else 0.0
    return {
        "hops": [
            {
                "node": hop.frame.node,
                "device": hop.frame.device,
                "outgoing": hop.frame.outgoing,
                "microseconds": round((hop.frame.time - begin) * 1e6, 1),
                "heading": hop.heading,
                "text": hop.text,
                "octets": len(hop.frame.octets),
                "layers": [
                    {"name": one.name, "octets": one.octets.hex(), "node": node_value(one.node)}
                    for one in hop.layers
                ],
            }
            for hop in found
        ]
    }
