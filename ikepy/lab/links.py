"""Compares the protocol stacks captured on each link of the lab with those expected there."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.lab import topology
from ikepy.lab.bed import Lab
from ikepy.lab.capture import Capture, Seen

Stack = tuple[str, ...]

_IP4: Stack = ("Ethernet", "IPv4")
_PINGS: dict[bool, tuple[Stack, ...]] = {
    False: (("IPv4", "ICMP"),),
    True: (("IPv4", "ICMP"), ("IPv6", "ICMPv6")),
}
_BGP: tuple[Stack, ...] = (("IPv4", "TCP"), ("IPv6", "TCP"))


@dataclass(frozen=True, slots=True)
class Link:
    """A device where a link is watched.

    `required`: every one must be seen; `allowed`: the beginnings of what may be seen, and nothing else may.
    `whole`: no packet may be a fragment.
    """

    name: str
    node: str
    device: str
    required: tuple[Stack, ...]
    allowed: tuple[Stack, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a capture says about a link. `rows`: (right?, frames, stack); `fragments`: the wrong ones."""

    link: Link
    ends: tuple[str, ...]
    rows: tuple[tuple[bool, int, Stack], ...]
    fragments: int

    @property
    def ok(self) -> bool:
        """Was everything seen that should be, and nothing else?"""
        return all(right for right, _, _ in self.rows) and not self.fragments


def links(lab: Lab) -> tuple[Link, ...]:
    """The links of this variant of the picture, from the pods to the site."""
    inner = _PINGS[lab.options.ipv6]
    framed = tuple(("Ethernet", *stack) for stack in inner)
    tunnel = (*inner, *_BGP) if lab.options.bgp else inner
    vxlan = (*_IP4, f"UDP {lab.plan.vxlan_port}", f"VXLAN {topology.VNI}")
    tunnelled = tuple((*vxlan, *stack) for stack in framed)
    outer = _encapsulated() if encapsulated(lab) else _native(lab.options.pq)
    uplink = "L3, before the NAT" if lab.options.nat else "L3"
    return (
        Link("C1", "pod1", "eth0", tunnelled, (vxlan,)),
        Link("C1", "pod2", "eth0", tunnelled, (vxlan,)),
        Link("C1 to C3", "cgw", "vxeth0", framed, framed),
        Link("L4", "cgw", lab.cgw.device, inner, tunnel),
        Link(uplink, "cgw", "eth0", *outer, whole=True),
        Link("L3, at C4", "c4", "eth0", *outer, whole=True),
        Link("L4", "c4", lab.c4.device, inner, tunnel),
        Link("behind C4", "site", "eth0", framed, framed),
    )


def encapsulated(lab: Lab) -> bool:
    """Should ESP travel in UDP? Behind a NAT, and always with strongSwan's userspace ESP, which forces it."""
    return lab.options.nat or "strongswan" in (lab.options.peer, lab.options.cgw)


def _encapsulated() -> tuple[tuple[Stack, ...], tuple[Stack, ...]]:
    init, float_port = (*_IP4, "UDP 500", "IKE IKE_SA_INIT"), (*_IP4, "UDP 4500")
    return (init, (*float_port, "IKE IKE_AUTH"), (*float_port, "ESP")), (init, float_port)


def _native(pq: bool) -> tuple[tuple[Stack, ...], tuple[Stack, ...]]:
    """Stacks without NAT; `pq`: with additional key exchanges (RFC 9370).

    IKE moves to port 4500 all the same: a later path may have one (RFC 4555 3.3)."""
    init, later, esp = (*_IP4, "UDP 500", "IKE IKE_SA_INIT"), (*_IP4, "UDP 4500"), (*_IP4, "ESP")
    ike = [(*later, f"IKE {exchange}") for exchange in ("IKE_AUTH", "CREATE_CHILD_SA", "INFORMATIONAL")]
    more = [(*later, f"IKE {exchange}") for exchange in ("IKE_INTERMEDIATE", "IKE_FOLLOWUP_KE") if pq]
    return (init, *more[:1], ike[0], esp), (init, *more, *ike, esp)


def judge(lab: Lab, capture: Capture) -> list[Verdict]:
    """Compare captured and expected stacks, link by link."""
    return [verdict(link, capture.seen(lab.nodes[link.node], link.device)) for link in links(lab)]


def verdict(link: Link, seen: Seen) -> Verdict:
    """The verdict on one link."""
    rows = [(_is_allowed(stack, link), count, stack) for stack, count in sorted(seen.stacks.items())]
    rows += [(False, 0, stack) for stack in link.required if stack not in seen.stacks]
    ends = sorted(" <-> ".join(sorted(pair)) for pair in seen.ends)
    return Verdict(link, tuple(ends), tuple(rows), seen.fragments if link.whole else 0)


def _is_allowed(stack: Stack, link: Link) -> bool:
    return "?" not in stack and any(stack[: len(start)] == start for start in link.allowed)
