"""The lab's topology as tables: nodes, cables, addresses and routes, and the code that builds them.

pod1, pod2 -- C1 (VXLAN) -- cgw (C3) == L3: [nat] internet == c4 (C4) -- site
                             vti0 ============ L4 ============ the other end
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from ikepy.lab.netns import Namespace, run, veth

VNI = 100
VXLAN_PORT = 4789  # RFC 7348
KERNEL_VXLAN_PORT = 8472  # Linux's own, which kube-vxlan-controller leaves as it is ("dstport 0")
UPLINK_MTU = 1500
# The pods' network carries the VXLAN header (50 bytes) under a segment of 1500 bytes, as a data centre does,
# so that a full packet gets as far as the CGW, whose VTI then has to say what fits.
POD_NETWORK_MTU = 1550
SEGMENT_MTU = 1500

POD_NETWORK = {"pod1": "10.244.0.11/24", "pod2": "10.244.0.12/24", "cgw": "10.244.0.1/24"}
SEGMENT = {"pod1": "10.1.0.11/24", "pod2": "10.1.0.12/24", "cgw": "10.1.0.1/24"}
SEGMENT6 = {"pod1": "fd00:1::11/64", "pod2": "fd00:1::12/64", "cgw": "fd00:1::1/64"}
VTI = {"cgw": "169.254.10.1/30", "c4": "169.254.10.2/30"}
VTI6 = {"cgw": "fd00:10::1/126", "c4": "fd00:10::2/126"}
SITE = {"c4": "10.2.0.1/24", "site": "10.2.0.10/24"}
SITE6 = {"c4": "fd00:2::1/64", "site": "fd00:2::10/64"}
CGW_PUBLIC = "192.0.2.10/24"
CGW_PRIVATE = "10.0.0.10/24"
NAT_PRIVATE = "10.0.0.1/24"
C4_PUBLIC = "198.51.100.10/24"
INTERNET = ("192.0.2.1/24", "198.51.100.1/24")

PODS = ("pod1", "pod2")
ROUTERS = ("cgw", "nat", "internet", "c4")

# A packet to translate: from the CGW's private network, out to the internet (nftables).
_MASQUERADE = """\
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "outside" masquerade
    }
}
"""


@dataclass(frozen=True, slots=True)
class Cable:
    """A veth pair: (node, device) at each end."""

    a: tuple[str, str]
    b: tuple[str, str]
    mtu: int = UPLINK_MTU


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to be built, names without the prefix.

    `addresses`: (node, device, address with prefix length); `routes`: (node, network, next hop).
    `pod`: the segment is as kube-vxlan-controller makes it, and the pods take routes of advertisements.
    """

    nodes: tuple[str, ...]
    cables: tuple[Cable, ...]
    addresses: tuple[tuple[str, str, str], ...]
    routes: tuple[tuple[str, str, str], ...]
    nat: bool
    pod: bool = False

    @property
    def vxlan_port(self) -> int:
        """The UDP port of the segment."""
        return KERNEL_VXLAN_PORT if self.pod else VXLAN_PORT


def address(text: str) -> str:
    """The address of "address/length"."""
    return str(ip_interface(text).ip)


def network(text: str) -> str:
    """The network of "address/length"."""
    return str(ip_interface(text).network)


def host(text: str) -> str:
    """The address alone, as a network: "10.0.0.1/32"."""
    interface: IPv4Interface | IPv6Interface = ip_interface(text)
    return f"{interface.ip}/{interface.max_prefixlen}"


def plan(*, nat: bool = False, ipv6: bool = False, pod: bool = False) -> Plan:
    """The tables of one variant of the picture. `pod`: the pods have their IPv6 routes by advertisements."""
    nodes = ("pod1", "pod2", "segment", "cgw", *(("nat",) if nat else ()), "internet", "c4", "site")
    cables = [Cable((node, "eth0"), ("segment", node), POD_NETWORK_MTU) for node in PODS]
    cables.append(Cable(("cgw", "eth1"), ("segment", "cgw"), POD_NETWORK_MTU))
    if nat:
        cables += [Cable(("cgw", "eth0"), ("nat", "inside")), Cable(("nat", "outside"), ("internet", "left"))]
    else:
        cables.append(Cable(("cgw", "eth0"), ("internet", "left")))
    cables += [Cable(("c4", "eth0"), ("internet", "right")), Cable(("c4", "lan"), ("site", "eth0"))]
    return Plan(nodes, tuple(cables), _addresses(nat, ipv6), _routes(nat, ipv6, pod), nat, pod)


def _addresses(nat: bool, ipv6: bool) -> tuple[tuple[str, str, str], ...]:
    rows = [(node, "eth1" if node == "cgw" else "eth0", text) for node, text in POD_NETWORK.items()]
    rows += [(node, "vxeth0", text) for node, text in SEGMENT.items()]
    if nat:
        rows += [("cgw", "eth0", CGW_PRIVATE), ("nat", "inside", NAT_PRIVATE), ("nat", "outside", CGW_PUBLIC)]
    else:
        rows.append(("cgw", "eth0", CGW_PUBLIC))
    rows += [("internet", "left", INTERNET[0]), ("internet", "right", INTERNET[1])]
    rows += [("c4", "eth0", C4_PUBLIC), ("c4", "lan", SITE["c4"]), ("site", "eth0", SITE["site"])]
    if ipv6:
        rows += [(node, "vxeth0", text) for node, text in SEGMENT6.items()]
        rows += [("c4", "lan", SITE6["c4"]), ("site", "eth0", SITE6["site"])]
    return tuple(rows)


def _routes(nat: bool, ipv6: bool, pod: bool) -> tuple[tuple[str, str, str], ...]:
    cgw = address(SEGMENT["cgw"])
    rows = [(pod, text, cgw) for pod in PODS for text in (network(SITE["site"]), network(VTI["cgw"]))]
    rows += [("site", "default", address(SITE["c4"])), ("c4", "default", address(INTERNET[1]))]
    if nat:
        rows += [("cgw", "default", address(NAT_PRIVATE)), ("nat", "default", address(INTERNET[0]))]
    else:
        rows.append(("cgw", "default", address(INTERNET[0])))
    if ipv6:
        cgw6 = address(SEGMENT6["cgw"])
        rows += [] if pod else [(name, text, cgw6) for name in PODS for text in far_networks6()]
        rows.append(("site", "default", address(SITE6["c4"])))
    return tuple(rows)


def far_networks6() -> list[str]:
    """The IPv6 networks that the pods reach by the CGW."""
    return [network(SITE6["site"]), network(VTI6["cgw"])]


def namespaces(prefix: str, nodes: tuple[str, ...]) -> dict[str, Namespace]:
    """The nodes' namespaces by the nodes' names; nothing is made."""
    return {node: Namespace(prefix + node) for node in nodes}


def build(plan: Plan, prefix: str) -> dict[str, Namespace]:
    """Build it; LabError at the first failure (what was built until then stays)."""
    spaces = namespaces(prefix, plan.nodes)
    for node, space in spaces.items():
        space.create()
        if node in ROUTERS:
            space.forward()
    for cable in plan.cables:
        veth(spaces[cable.a[0]], cable.a[1], spaces[cable.b[0]], cable.b[1], cable.mtu)
    _switch(spaces["segment"], list(POD_NETWORK))
    for node in POD_NETWORK:
        if plan.pod and node in PODS:  # before the device is there, which takes its settings from these
            spaces[node].sysctl({"net.ipv6.conf.default.accept_ra_rt_info_max_plen": "128"})
        _vxlan(spaces[node], node, plan.vxlan_port)
    for node, device, text in plan.addresses:
        spaces[node].ip(f"addr add {text} dev {device}{' nodad' if ':' in text else ''}")
    for node, text, gateway in plan.routes:
        family = "-6 " if ":" in gateway else ""
        spaces[node].run(*f"ip {family}route add {text} via {gateway}".split())
    if plan.nat:
        spaces["nat"].run("nft", "-f", "-", text=_MASQUERADE)
    return spaces


def _switch(space: Namespace, ports: list[str]) -> None:
    """The network under the VXLAN: a bridge, a port for each node."""
    space.ip(
        f"link add switch mtu {POD_NETWORK_MTU} type bridge",
        "link set switch up",
        *(f"link set {port} master switch" for port in ports),
    )


def _vxlan(space: Namespace, node: str, port: int) -> None:
    """The node's end of the segment.

    As kube-vxlan-controller does it, the kernel chooses the MTU by that of the network below, and every other
    node has an all-zero entry in the forwarding database: unknown and broadcast frames are sent to each of
    them.
    """
    uplink = "eth1" if node == "cgw" else "eth0"
    space.ip(
        f"link add vxeth0 type vxlan id {VNI} dev {uplink} dstport {port}",
        "link set vxeth0 up",
    )
    for other, text in POD_NETWORK.items():
        if other != node:
            run(
                *f"bridge -n {space.name} fdb append 00:00:00:00:00:00 dev vxeth0 dst {address(text)}".split()
            )
