"""Copies of IKE_SAs and children as values, for listings and events: no references into the IKE machine."""

from __future__ import annotations

from dataclasses import dataclass

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.identity import Identity
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Path
from ikepy.wire.proposal import Proposal


@dataclass(frozen=True, slots=True)
class ChildSnapshot:
    """One CHILD_SA. `installed_at` is on the machine's clock (seconds)."""

    child_id: int
    name: str
    state: str
    spi_in: int
    spi_out: int
    proposal: Proposal  # the one that was chosen
    suite: Suite
    esn: bool
    encap: bool
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    installed_at: float


@dataclass(frozen=True, slots=True)
class IkeSaSnapshot:
    """One IKE_SA. `established_at` is on the machine's clock (seconds), None before that.

    Identities are the authenticated ones; before that, an initiator's are the configured ones.
    """

    ike_id: int
    connection: str
    state: str
    initiator: bool
    spi_i: bytes
    spi_r: bytes
    local_id: Identity | None
    remote_id: Identity | None
    path: Path
    nat_local: bool
    nat_remote: bool
    encap: bool
    proposal: Proposal | None  # the one that was chosen
    established_at: float | None
    network: NetworkSettings
    children: tuple[ChildSnapshot, ...]
