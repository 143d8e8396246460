"""The state that `list-sas` shows, copied as values: no references into the IKE machine."""

from __future__ import annotations

from dataclasses import dataclass

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.identity import Identity
from ikepy.sa.api.path import Path


@dataclass(frozen=True, slots=True)
class ChildSnapshot:
    """One CHILD_SA. `installed_at` is on the machine's clock (seconds)."""

    child_id: int
    name: str
    state: str
    spi_in: int
    spi_out: int
    suite: Suite
    esn: bool
    encap: bool
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    installed_at: float


def shown(known: Identity | None, configured: Identity | None, *, sure: bool) -> str:
    """The known identity, else the configured one if the connection is `sure`, as text; "" for none."""
    identity = configured if known is None and sure else known
    return "" if identity is None else str(identity)


@dataclass(frozen=True, slots=True)
class IkeSaSnapshot:
    """One IKE_SA. `established_at` is on the machine's clock (seconds), None before that."""

    ike_id: int
    connection: str
    state: str
    initiator: bool
    spi_i: bytes
    spi_r: bytes
    local_id: str
    remote_id: str
    path: Path
    nat_local: bool
    nat_remote: bool
    encap: bool
    suite: str
    established_at: float | None
    children: tuple[ChildSnapshot, ...]
