"""The picture of the seed as values: nodes with their addresses, links with the device where each is
watched."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ikepy.lab import topology
from ikepy.lab.bed import Lab
from ikepy.lab.topology import address


@dataclass(frozen=True, slots=True)
class Node:
    """`rows`: what is written under its name; `role`: the name in the seed's picture."""

    name: str
    kind: str  # "host", "switch", "gateway", "router", "network"
    role: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A cable or a tunnel between `a` and `b`, watched on `device` of `node`, which is at its end `a` or
    `b`."""

    name: str
    a: str
    b: str
    node: str
    device: str
    carries: str

    @property
    def key(self) -> tuple[str, str]:
        return self.node, self.device


def nodes(lab: Lab) -> tuple[Node, ...]:
    """The nodes from the pods to the site."""
    options = lab.options
    uplink = topology.CGW_PRIVATE if options.nat else topology.CGW_PUBLIC
    found = [
        *(Node(pod, "host", "pod", (address(topology.SEGMENT[pod]),)) for pod in topology.PODS),
        Node("segment", "switch", "C1", (f"VXLAN {topology.VNI}",)),
        Node("cgw", "gateway", "C3", _gateway(lab.cgw.kind, uplink, "cgw")),
        *([Node("nat", "router", "NAT", (address(topology.CGW_PUBLIC),))] if options.nat else []),
        Node("internet", "network", "L3", ()),
        Node("c4", "gateway", "C4", _gateway(lab.c4.kind, topology.C4_PUBLIC, "c4")),
        Node("site", "host", "site", (address(topology.SITE["site"]),)),
    ]
    return tuple(found)


def _gateway(kind: str, uplink: str, node: str) -> tuple[str, ...]:
    return kind, f"eth0 {address(uplink)}", f"VTI {address(topology.VTI[node])}"


def links(lab: Lab) -> tuple[Link, ...]:
    """The links, each watched in one place, so that nothing is counted twice."""
    vxlan, clear = "Ethernet in VXLAN", "Ethernet"
    outside = [
        Link("uplink", "cgw", "nat", "cgw", "eth0", "IKE and ESP"),
        Link("L3", "nat", "internet", "nat", "outside", "IKE and ESP"),
    ]
    return (
        Link("pod1", "pod1", "segment", "pod1", "eth0", vxlan),
        Link("pod2", "pod2", "segment", "pod2", "eth0", vxlan),
        Link("C1", "segment", "cgw", "cgw", "eth1", vxlan),
        Link("L4", "cgw", "c4", "cgw", lab.cgw.device, "IP: the tunnel's inside"),
        *(outside if lab.options.nat else [Link("L3", "cgw", "internet", "cgw", "eth0", "IKE and ESP")]),
        Link("L3 at C4", "internet", "c4", "c4", "eth0", "IKE and ESP"),
        Link("site", "c4", "site", "c4", "lan", clear),
    )


def describe(lab: Lab) -> dict[str, object]:
    """All of it, for the page."""
    return {
        "nodes": [asdict(node) for node in nodes(lab)],
        "links": [asdict(link) for link in links(lab)],
        "nat": lab.options.nat,
        "options": asdict(lab.options),
    }
