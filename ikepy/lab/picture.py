"""Draws the lab's topology in plain characters, with the addresses."""

from __future__ import annotations

from ikepy.lab import topology
from ikepy.lab.bed import Lab
from ikepy.lab.topology import address

# Filled-in words keep their columns: the left upright is in column 26, the right one in column 61.
_SITES = """\
  pod1 {pod1:<11}───┐                                    site {site}
                     ├─ C1: VXLAN {vni:<4}                       │
  pod2 {pod2:<11}───┘    │                                  │
                          │ vxeth0 {vxeth0:<16}          │ lan {lan}
                  ┌───────┴────────┐                ┌────────┴───────┐
                  │ cgw         C3 │       L4       │ c4          C4 │
                  │ {cgw:<14} ╞════════════════╡ {c4:<14} │
                  │ {cgw_vti:<14} │                │ {c4_vti:<14} │
                  └───────┬────────┘                └────────┬───────┘
                     eth0 │ {cgw_uplink:<23}     eth0 │ {c4_uplink}
"""
_NAT = """\
                     ┌────┴────┐                             │
                     │   nat   │ {nat:<15}             │
                     └────┬────┘                             │
"""
_INTERNET = """\
                          │               L3                 │
                          └──────────── internet ────────────┘
"""


def draw(lab: Lab) -> str:
    """The picture of this lab, at most 80 columns wide."""
    options = lab.options
    words = {
        "vni": topology.VNI,
        "pod1": address(topology.SEGMENT["pod1"]),
        "pod2": address(topology.SEGMENT["pod2"]),
        "vxeth0": address(topology.SEGMENT["cgw"]),
        "site": address(topology.SITE["site"]),
        "lan": address(topology.SITE["c4"]),
        "cgw": lab.cgw.kind,
        "c4": lab.c4.kind,
        "cgw_vti": address(topology.VTI["cgw"]),
        "c4_vti": address(topology.VTI["c4"]),
        "cgw_uplink": address(topology.CGW_PRIVATE if options.nat else topology.CGW_PUBLIC),
        "c4_uplink": address(topology.C4_PUBLIC),
        "nat": address(topology.CGW_PUBLIC),
    }
    lines = (_SITES + (_NAT if options.nat else "") + _INTERNET).format(**words)
    return lines + (_ipv6() if options.ipv6 else "")


def _ipv6() -> str:
    rows = {
        "C1": [f"{node} {address(text)}" for node, text in topology.SEGMENT6.items()],
        "L4": [f"{node} {address(text)}" for node, text in topology.VTI6.items()],
        "site": [f"{node} {address(text)}" for node, text in topology.SITE6.items()],
    }
    return "\n" + "".join(f"  IPv6 {name:<5} {', '.join(texts)}\n" for name, texts in rows.items())
