"""VXLAN devices that ikepy makes (RFC 7348): `[vxlan.NAME]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainValidator

from ikepy.config import fields, values
from ikepy.config.section import Port, Section
from ikepy.config.values import Address, Interface


class Vxlan(Section):
    """A VXLAN device that ikepy makes (RFC 7348), with unicast flooding to its peers.

    `device`: the underlay; None: as routes lead. `local`: the source of outer packets, which also says their
    IP version: IPv4 without it. `mtu` None: the underlay's less VXLAN's overhead, in octets.
    """

    name: Annotated[str, PlainValidator(values.device_name)]
    vni: Annotated[int, fields.integer(1, 2**24 - 1, "VXLAN network identifier")]
    device: Annotated[str | None, PlainValidator(values.device_name)] = None
    port: Port = 4789
    local: Annotated[Address | None, PlainValidator(values.address)] = None
    peers: Annotated[tuple[Address | str, ...], fields.each(values.host)] = ()
    addresses: Annotated[tuple[Interface, ...], fields.each(values.interface)] = ()
    mtu: Annotated[int | None, fields.integer(fields.MIN_IPV4_MTU, fields.MAX_MTU, "octets")] = None

    @property
    def version(self) -> int:
        """The IP version of outer packets."""
        return 4 if self.local is None else self.local.version

    @property
    def peer_addresses(self) -> tuple[Address, ...]:
        return tuple(one for one in self.peers if not isinstance(one, str))

    @property
    def peer_names(self) -> tuple[str, ...]:
        """DNS names, each of which may have several addresses."""
        return tuple(one for one in self.peers if isinstance(one, str))
