"""The control plane's state of a CHILD_SA, and the effects that install it (RFC 7296 1.3, 2.8)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from esp.packet.selectors import Selector
from esp.sa.suites import Suite, suite_for
from ikepy.config.model import Child
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect, InstallInbound, InstallOutbound
from ikepy.sa.api.path import Path
from ikepy.sa.api.snapshot import ChildSnapshot
from ikepy.sa.negotiation.proposals import transform
from ikepy.sa.negotiation.ts_request import EVERYTHING, Selectors, TsRequest
from ikepy.sa.state.lifetime import Lifetime, TrafficLimit
from ikepy.wire.constants import Esn, NotifyType, TransformType
from ikepy.wire.proposal import Proposal


class ChildState(Enum):
    """The names that `list-sas` shows."""

    INSTALLED = "INSTALLED"
    REKEYING = "REKEYING"  # we asked the peer to replace it
    REKEYED = "REKEYED"  # another child replaced it; awaits its delete
    DELETING = "DELETING"  # we asked the peer to delete it
    DELETED = "DELETED"  # deleted at the peer; late packets are accepted until `remove_at`


@dataclass(slots=True)
class Standby:
    """An outbound SA that is not sent under yet, as the peer may not have our response.

    `look_at`: when we look at it next. `message_id`: the request's; None: the peer has the response.
    `first`: the request was IKE_AUTH.
    """

    look_at: float
    message_id: int | None
    first: bool


@dataclass(slots=True)
class ChildSa:
    """Both directions of one CHILD_SA. SPIs are integers; times are seconds on the machine's clock."""

    child_id: int
    config: Child
    proposal: Proposal
    spi_in: int
    spi_out: int
    keys_in: Secret  # of what comes in; kept for a machine that takes the child over
    keys_out: Secret
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    encap: bool
    installed_at: float
    lifetime: Lifetime = field(default_factory=Lifetime)
    bytes: TrafficLimit = field(default_factory=TrafficLimit)
    packets: TrafficLimit = field(default_factory=TrafficLimit)
    state: ChildState = ChildState.INSTALLED
    trapped: tuple[Selector, ...] = ()  # remote selectors of which other children carry the rest
    tfc_padding: int | Literal["mtu"] = 0
    quantum_safe: bool = False  # keys of which a quantum computer would not know all
    replaced_by: int | None = None
    announced: bool = False  # events tell that it is up (`api.events`)
    lost: bool = False  # negotiated, but the worker that carried it died
    remove_at: float | None = None
    waiting: Standby | None = None  # for the peer to have it
    _copy: tuple[Hashable, ChildSnapshot] | None = field(default=None, repr=False, compare=False)

    @property
    def in_use(self) -> bool:
        """Whether it is installed and not being deleted."""
        return self.state in (ChildState.INSTALLED, ChildState.REKEYING)

    @property
    def stays(self) -> bool:
        """Whether it is in use, and not to be replaced by another child."""
        return self.in_use and self.replaced_by is None and not self.lost

    @property
    def deadlines(self) -> tuple[float | None, ...]:
        """Times at which it is rekeyed, expires or is removed; None: never."""
        if self.state is ChildState.INSTALLED:
            look_at = None if self.waiting is None else self.waiting.look_at
            return self.lifetime.rekey_at, self.lifetime.expires_at, self.remove_at, look_at
        if self.state in (ChildState.REKEYING, ChildState.REKEYED):
            return self.lifetime.expires_at, self.remove_at
        return (self.remove_at,)

    @property
    def selectors(self) -> Selectors:
        return Selectors(self.ts_local, self.ts_remote)

    @property
    def ts_request(self) -> TsRequest:
        """The request for its replacement: all configured traffic, or this child's part (RFC 7296 2.9.2)."""
        return TsRequest(within=self.selectors) if self.trapped else EVERYTHING

    @property
    def suite(self) -> Suite:
        return esp_suite(self.proposal)

    @property
    def esn(self) -> bool:
        return uses_esn(self.proposal)

    def install(self, connection: str, path: Path, *, standby: bool) -> list[Effect]:
        """The effects that install both SAs, inbound first: the peer may send as soon as it can."""
        return [self.install_inbound(connection, path), self.install_outbound(connection, path, standby)]

    def install_inbound(self, connection: str, path: Path, *, replay_top: int = 0) -> InstallInbound:
        """The effect that installs the inbound SA. It has keys of its own, which outlive the child's."""
        return InstallInbound(
            child_id=self.child_id,
            connection=connection,
            child=self.config.name,
            spi=self.spi_in,
            suite=self.suite,
            keys=Secret(self.keys_in.expose()),
            esn=self.esn,
            replay_window=self.config.replay_window,
            ts_local=self.ts_local,
            ts_remote=self.ts_remote,
            encap=self.encap,
            path=path,
            replay_top=replay_top,
            transport=self.config.transport,
        )

    def install_outbound(
        self, connection: str, path: Path, standby: bool, *, last_sequence: int = 0
    ) -> InstallOutbound:
        """The effect that installs the outbound SA, likewise."""
        return InstallOutbound(
            child_id=self.child_id,
            connection=connection,
            child=self.config.name,
            spi=self.spi_out,
            suite=self.suite,
            keys=Secret(self.keys_out.expose()),
            esn=self.esn,
            ts_local=self.ts_local,
            ts_remote=self.ts_remote,
            encap=self.encap,
            path=path,
            standby=standby,
            trapped=self.trapped,
            tfc_padding=self.tfc_padding,
            last_sequence=last_sequence,
            transport=self.config.transport,
        )

    def wipe(self) -> None:
        """Overwrite the keys kept here."""
        self.keys_in.wipe()
        self.keys_out.wipe()

    def snapshot(self) -> ChildSnapshot:
        """A copy, which is that of the last call if nothing has changed: a thousand are asked for at once."""
        life = self.lifetime
        changing = (self.state, self.encap, life.rekey_at, life.expires_at, self.replaced_by)
        if self._copy is None or self._copy[0] != changing:
            self._copy = changing, self._new_copy()
        return self._copy[1]

    def _new_copy(self) -> ChildSnapshot:
        return ChildSnapshot(
            child_id=self.child_id,
            name=self.config.name,
            state=self.state.value,
            spi_in=self.spi_in,
            spi_out=self.spi_out,
            proposal=self.proposal,
            suite=self.suite,
            esn=self.esn,
            encap=self.encap,
            ts_local=self.ts_local,
            ts_remote=self.ts_remote,
            installed_at=self.installed_at,
            rekey_at=self.lifetime.rekey_at,
            expires_at=self.lifetime.expires_at,
            replaced_by=self.replaced_by,
            quantum_safe=self.quantum_safe,
            transport=self.config.transport,
        )


def esp_suite(proposal: Proposal) -> Suite:
    """The data plane's suite for a chosen ESP proposal; PeerError NO_PROPOSAL_CHOSEN if it has none."""
    encr = transform(proposal, TransformType.ENCR)
    integ = transform(proposal, TransformType.INTEG)
    try:
        if encr is not None:
            return suite_for(encr.id, encr.key_length, None if integ is None else integ.id)
    except KeyError:
        pass
    raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "the ESP algorithms don't go together")


def uses_esn(proposal: Proposal) -> bool:
    """Whether a chosen ESP proposal has extended sequence numbers (RFC 4304)."""
    found = transform(proposal, TransformType.ESN)
    return found is not None and found.id == Esn.ESN


def texts(selectors: tuple[Selector, ...]) -> str:
    """For the log: "10.1.0.0/24 10.2.0.0/24"."""
    return " ".join(map(str, selectors))
