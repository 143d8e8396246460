"""Copies of IKE_SAs and children as values, for listings and events: no references into the IKE machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.identity import Identity
from ikepy.eap.granted import NOTHING, Granted
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Path
from ikepy.wire.proposal import Proposal


@dataclass(frozen=True, slots=True)
class ChildSnapshot:
    """One CHILD_SA. Times are on the machine's clock (seconds); None: never, or not any more."""

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
    rekey_at: float | None
    expires_at: float | None
    replaced_by: int | None  # the child_id of its successor
    quantum_safe: bool = False  # a quantum computer that comes later won't know its keys
    transport: bool = False  # transport mode


@dataclass(frozen=True, slots=True)
class IkeSaSnapshot:
    """One IKE_SA. Times are on the machine's clock (seconds); None: not yet, or never.

    Identities are the authenticated ones; before that, an initiator's are the configured ones. Tasks are the
    names of `state.task.TaskKind`.
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
    children_path: Path  # another one while a new path is being verified (RFC 4555 3.7)
    nat_local: bool
    nat_remote: bool
    encap: bool
    proposal: Proposal | None  # the one that was chosen
    mobike: bool
    fragmentation: bool
    established_at: float | None
    heard_at: float  # when something authentic came last
    rekey_at: float | None
    expires_at: float | None
    reauth_at: float | None
    tasks_active: tuple[str, ...]  # their requests await a response
    tasks_queued: tuple[str, ...]
    network: NetworkSettings
    children: tuple[ChildSnapshot, ...]
    resumed: bool = False  # by a ticket (RFC 5723), without a key exchange
    quantum_safe: bool = False  # likewise
    ppk: bool = False  # a postquantum preshared key was mixed into its keys (RFC 8784)
    eap_id: str = ""  # the user that EAP has authenticated, in the peer's own characters
    granted: Granted = NOTHING  # by an AAA server, to that user


class Waiting(Enum):
    """What a configured child waits for."""

    NOTHING = "nothing"  # it is up
    COMMAND = "a command"
    PACKET = "a packet"  # start_action = "trap", or the like after an end
    SET_UP = "its set-up"  # under way
    TURN = "its turn"  # too many set-ups with its peer are under way
    RETRY = "its next try"
    NAME = "a name to be looked up"  # of the peer's address, or our own
    ADDRESS = "an address"  # of ours or the peer's: the set-up has no path


@dataclass(frozen=True, slots=True)
class ChildWait:
    """A configured child, and what it waits for. `failures`: tries in a row that came to nothing.

    `until`: when the next try is (the machine's clock), if that is known. `reason`: what stands in the way
    of an address, else "".
    """

    connection: str
    child: str
    waiting: Waiting
    until: float | None = None
    failures: int = 0
    reason: str = ""
