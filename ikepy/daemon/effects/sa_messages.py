"""The messages that install SAs in a worker and change their path, from the effects of the IKE machine."""

from __future__ import annotations

from typing import TypedDict

from esp.ipc.messages import AddInboundSa, AddOutboundSa, UpdateSaPath
from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.daemon.effects.children import Child
from ikepy.sa.api.effects import InstallInbound, InstallOutbound, UpdatePath
from ikepy.sa.api.path import Address, Path


class _PathFields(TypedDict):
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int


class _SaFields(_PathFields):
    """What the messages of both directions have, but for the keys."""

    child_id: int
    device_id: int
    slot: int
    spi: int
    suite: Suite
    esn: bool
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    encap: bool
    transport: bool


def add_inbound(effect: InstallInbound, child: Child) -> AddInboundSa:
    return AddInboundSa(
        **_sa_fields(effect, child),
        keys=effect.keys.expose(),
        replay_window=effect.replay_window,
        replay_top=effect.replay_top,
    )


def add_outbound(effect: InstallOutbound, child: Child) -> AddOutboundSa:
    return AddOutboundSa(
        **_sa_fields(effect, child),
        keys=effect.keys.expose(),
        standby=effect.standby,
        trap=bool(effect.trapped),
        tfc_padding=child.tfc_octets,
        last_sequence=effect.last_sequence,
    )


def update_path(effect: UpdatePath, child: Child) -> UpdateSaPath:
    return UpdateSaPath(
        **_path_fields(effect.path),
        child_id=effect.child_id,
        encap=effect.encap,
        tfc_padding=child.tfc_octets,
    )


def _sa_fields(effect: InstallInbound | InstallOutbound, child: Child) -> _SaFields:
    return {
        **_path_fields(effect.path),
        "child_id": effect.child_id,
        "device_id": child.device.device_id,
        "slot": child.counter,
        "spi": effect.spi,
        "suite": effect.suite,
        "esn": effect.esn,
        "ts_local": effect.ts_local,
        "ts_remote": effect.ts_remote,
        "encap": effect.encap,
        "transport": effect.transport,
    }


def _path_fields(path: Path) -> _PathFields:
    return {
        "local_address": path.local.address,
        "local_port": path.local.port,
        "remote_address": path.remote.address,
        "remote_port": path.remote.port,
    }
