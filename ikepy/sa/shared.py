"""What all IKE_SAs of a daemon have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ikepy.config.model import Config

from .child import ChildState
from .entropy import Entropy
from .path import Address
from .phase import Phase
from .window import Retransmission

if TYPE_CHECKING:
    from .ike_sa import IkeSa


class Shared:
    """Configuration, randomness, numbers, and the table of living IKE_SAs."""

    def __init__(self, config: Config, entropy: Entropy) -> None:
        self.config = config
        self.entropy = entropy
        self.sas: dict[int, IkeSa] = {}  # by ike_id
        self.by_spi: dict[bytes, IkeSa] = {}  # by our SPI
        self.touched: list[IkeSa] = []  # by what happened to another one, since the manager looked last
        self.local_addresses: tuple[Address, ...] = ()  # all of this host, as far as we were told
        self._ike_ids = 0
        self._child_ids = 0

    @property
    def retransmission(self) -> Retransmission:
        daemon = self.config.daemon
        return Retransmission(
            daemon.retransmit_timeout,
            daemon.retransmit_base,
            daemon.retransmit_tries,
            daemon.retransmit_jitter / 100,
            daemon.retransmit_limit,
        )

    def next_ike_id(self) -> int:
        self._ike_ids += 1
        return self._ike_ids

    def next_child_id(self) -> int:
        self._child_ids += 1
        return self._child_ids

    def ike_spi(self) -> bytes:
        """A fresh IKE SPI: 8 bytes, not zero, not in use."""
        while True:
            spi = self.entropy.random(8)
            if spi != bytes(8) and spi not in self.by_spi:
                return spi

    def add(self, sa: IkeSa) -> None:
        self.sas[sa.ike_id] = sa
        self.by_spi[sa.spi_local] = sa
        self.touched.append(sa)

    def remove(self, sa: IkeSa) -> None:
        self.sas.pop(sa.ike_id, None)
        self.by_spi.pop(sa.spi_local, None)

    def of_connection(self, name: str) -> Iterable[IkeSa]:
        """The living IKE_SAs of a connection, newest first."""
        return (sa for sa in reversed(list(self.sas.values())) if sa.connection.name == name and sa.alive)

    def elsewhere(self, sa: IkeSa, child: str) -> IkeSa | None:
        """Another established IKE_SA of the connection that has this child."""
        others = (other for other in self.of_connection(sa.connection.name) if other is not sa)
        return next((other for other in others if other.established and other.has_child(child)), None)

    def sends(self, connection: str, child: str) -> bool:
        """Whether there is a child of this policy, on whichever IKE_SA, that packets may be sent under."""
        return any(
            one.config.name == child and one.state is not ChildState.DELETED
            for sa in self.sas.values()
            if sa.connection.name == connection
            for one in sa.children.values()
        )

    def duplicates(self, sa: IkeSa) -> list[IkeSa]:
        """Established IKE_SAs other than `sa` between the same two identities."""
        return [
            other
            for other in self.sas.values()
            if other is not sa
            and other.phase is Phase.ESTABLISHED
            and other.remote_id == sa.remote_id
            and other.local_id == sa.local_id
        ]

    def is_first_contact(self, sa: IkeSa) -> bool:
        """Whether INITIAL_CONTACT is true: no other IKE_SA of these two identities stands (RFC 7296 2.4).

        One that another connection is setting up counts too: it would be the one to go.
        """
        own = sa.connection
        return own.unique != "never" and not any(
            other.alive
            and (other.connection.local.id, other.connection.remote.id) == (own.local.id, own.remote.id)
            and (other.established or other.connection.name != own.name)
            for other in self.sas.values()
            if other is not sa
        )
