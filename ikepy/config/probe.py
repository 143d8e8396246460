"""Probes in the model: the addresses behind a tunnel that are sent ICMP echo requests."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from ikepy.config import fields, values
from ikepy.config.section import Boolean, Section

Address = IPv4Address | IPv6Address


class Probe(Section):
    """What is probed through one connection's tunnel. Times in seconds.

    `source`: at most one address of a version that requests come from. `mtu`: whether the path MTU is looked
    for.
    """

    targets: Annotated[tuple[Address, ...], fields.each(values.address, required=True)]
    source: Annotated[tuple[Address, ...], fields.each(values.address)] = ()
    interval: Annotated[float, fields.number(0.1, 3600, "seconds")] = 10.0
    timeout: Annotated[float, fields.number(0.1, 60, "seconds")] = 2.0
    mtu: Boolean = True

    def source_of(self, version: int) -> Address | None:
        """The address that requests of an IP version come from; None: the kernel chooses."""
        return next((one for one in self.source if one.version == version), None)
