"""IKE_SAs of our own making: for children that are to come up, again after a failure, again after an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ikepy.config.model import Child, Connection

from .effects import Effect, Level, Log
from .ike_sa import IkeSa
from .path import Address, Endpoint, Path
from .phase import End, Phase
from .scope import Pair
from .shared import Settle, Shared
from .tasks.task import outcomes

Resolve = Callable[[Connection, Address | None], tuple[Address, Address] | None]

NAT_T_PORT = 4500  # a peer's (RFC 3948); a connection to it needs no floating
RETRY_FIRST = 2.0  # seconds before a set-up that failed is tried again; doubles up to RETRY_LONGEST
RETRY_LONGEST = 120.0
SOON = 1.0  # seconds: by when it is tried again, at the latest, once our addresses have changed
STABLE = 10.0  # seconds that an IKE_SA has to last, or it is not set up again at once time and again

# What is to become of a child after the end of its IKE_SA.
AFTER: dict[End, Callable[[Child], str]] = {
    # What was to come up on it meanwhile; the rest stands on its successor.
    End.REAUTHENTICATED: lambda child: "start",
    End.TIMEOUT: lambda child: child.dpd_action,
    End.REPLACED: lambda child: child.dpd_action,
    End.RESTARTED: lambda child: child.dpd_action,
    End.DELETED_BY_PEER: lambda child: child.close_action,
    End.EXPIRED: lambda child: child.close_action,
}


@dataclass(frozen=True, slots=True)
class Demand:
    """Children to bring up. `tries`: which attempt of `keyingtries` it is; `bounces`: how often in a row the
    peer let go of them as soon as they were up; `replaces`: the one to be reauthenticated; `packet`: why
    they are wanted."""

    connection: Connection
    children: tuple[str, ...]
    tickets: tuple[int, ...] = ()
    tries: int = 1
    bounces: int = 0
    replaces: IkeSa | None = None
    packet: Pair | None = None


class SetUps:
    """Meets demands, and notes those that are to be met later."""

    def __init__(self, shared: Shared, resolve: Resolve, settle: Settle) -> None:
        self._shared = shared
        self._resolve = resolve
        self._settle = settle
        self._retries: list[tuple[float, Demand]] = []  # and when
        self._stranded: dict[str, Demand] = {}  # by connection: those that wait for our address

    def bring_up(self, demand: Demand, now: float) -> list[Effect]:
        """What of it is not up yet, on an IKE_SA that stands or is being set up, or else on a new one."""
        sas = list(self._shared.of_connection(demand.connection.name))
        missing = [name for name in demand.children if not any(_has(sa, name, demand.packet) for sa in sas)]
        if not missing:
            return outcomes(demand.tickets, True, f"CHILD_SA {' '.join(demand.children)} is up already")
        # Best one that stands: a set-up may fail, and a reauthentication takes along what comes up meanwhile.
        usable = max((sa for sa in sas if _takes_children(sa)), key=lambda sa: sa.established, default=None)
        if usable is None:
            return self.connect(replace(demand, children=tuple(missing)), now)
        for index, name in enumerate(missing):
            usable.wishes.want(name, demand.tickets if index == 0 else (), demand.packet)
        return self._settle(usable, usable.proceed(now), now)

    def connect(self, demand: Demand, now: float) -> list[Effect]:
        """A new IKE_SA for these children."""
        connection, tickets = demand.connection, demand.tickets
        found = self._resolve(connection, None)
        if found is None:
            return self._unresolved(demand, now)
        daemon = self._shared.config.daemon
        on_nat_t = connection.remote_port == NAT_T_PORT
        local = Endpoint(found[0], daemon.port_nat_t if on_nat_t else connection.local_port)
        path = Path(local, Endpoint(found[1], connection.remote_port))
        sa = IkeSa(
            self._shared, connection, path, spi_i=self._shared.ike_spi(), spi_r=bytes(8), initiator=True
        )
        sa.tries, sa.bounces = demand.tries, demand.bounces
        sa.replaces = [] if demand.replaces is None else [demand.replaces]
        for name in demand.children:
            sa.wishes.want(name, tickets if name == demand.children[0] else (), demand.packet)
        self._shared.add(sa)
        return self._settle(sa, sa.initiate(now), now)

    def _unresolved(self, demand: Demand, now: float) -> list[Effect]:
        """We don't know where to send, or whence."""
        connection, tickets = demand.connection, demand.tickets
        addresses = ", ".join(map(str, connection.remote_addrs))
        text = f"{connection.name}: the peer's address is not known ({addresses})"
        if not any(tickets):
            self._stranded[connection.name] = demand  # should it be our address that is missing
        later = self._later(demand, now)
        if later is not None:
            return [Log(Level.WARNING, connection.name, f"{text}; {later}")]
        return [Log(Level.ERROR, connection.name, text), *outcomes(tickets, False, text)]

    # -- later -------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When the first demand is to be met that was put off."""
        return min((at for at, _ in self._retries), default=None)

    @property
    def retrying(self) -> bool:
        """Whether any was put off."""
        return bool(self._retries)

    def pop(self, now: float) -> Demand | None:
        """One that is due."""
        for retry in self._retries:
            if retry[0] <= now:
                self._retries.remove(retry)
                return retry[1]
        return None

    def hasten(self, now: float) -> None:
        """Don't wait for long: our addresses have changed."""
        soon = now + SOON * self._shared.entropy.uniform()
        self._retries = [(min(at, soon), demand) for at, demand in self._retries]

    def retry_stranded(self, now: float) -> list[Effect]:
        """Those that waited for our address."""
        stranded, self._stranded = self._stranded, {}
        return [effect for demand in stranded.values() for effect in self.bring_up(demand, now)]

    def forget(self) -> None:
        """Nothing is to be set up any more."""
        self._retries.clear()
        self._stranded.clear()

    def _later(self, demand: Demand, now: float) -> str | None:
        """Note a further try if `keyingtries` allows one; the text says when."""
        limit = demand.connection.keyingtries
        if limit and demand.tries >= limit:
            return None
        wait = self._retry_at(replace(demand, tries=demand.tries + 1), demand.tries - 1, now)
        return f"next try in {wait:.0f} s"

    def _retry_at(self, demand: Demand, earlier: int, now: float) -> float:
        """Bring it up after a wait that grows with the `earlier` ones; gives its seconds."""
        wait = min(RETRY_FIRST * 2.0 ** min(earlier, 10), RETRY_LONGEST)
        wait *= 1 + self._shared.entropy.uniform() / 4
        self._retries.append((now + wait, demand))
        return wait

    # -- again -------------------------------------------------------------------------------------

    def after_end(self, sa: IkeSa, now: float) -> list[Effect]:
        """Set up anew what `keyingtries`, `dpd_action` and `close_action` ask for."""
        if self._shared.stopping or sa.end is None:
            return []
        olds = sa.replaced
        for old in olds:
            old.reauth_at = now + RETRY_LONGEST
            self._shared.touched.append(old)
        if sa.established_at is None:
            return [] if olds else self._after_failure(sa, now)
        if sa.end is End.ADDRESS_GONE:
            return self.bring_up(Demand(sa.connection, tuple(c.name for c in sa.ended_children)), now)
        return self._after_life(sa, now)

    def _after_failure(self, sa: IkeSa, now: float) -> list[Effect]:
        demand = Demand(sa.connection, tuple(sa.wishes.purpose), tries=sa.tries, bounces=sa.bounces)
        if sa.end is End.ADDRESS_GONE:
            return self.bring_up(demand, now)
        if not sa.initiator or sa.end not in (End.TIMEOUT, End.REFUSED):
            return []
        later = self._later(demand, now)
        return [] if later is None else [sa.log(Level.INFO, later)]

    def _after_life(self, sa: IkeSa, now: float) -> list[Effect]:
        """It stood: its children are started again or trapped, but not time and again at once."""
        action = None if sa.end is None else AFTER.get(sa.end)
        if action is None:
            return []
        name = sa.connection.name
        self._shared.trapped |= {(name, c.name) for c in sa.ended_children if action(c) == "trap"}
        children = tuple(c.name for c in sa.ended_children if action(c) == "start")
        if not children:
            return []
        if now - sa.set_up.ended_at >= STABLE:
            return self.bring_up(Demand(sa.connection, children), now)
        again = Demand(sa.connection, children, bounces=sa.bounces + 1)
        if not sa.bounces:
            return self.bring_up(again, now)
        wait = self._retry_at(again, sa.bounces - 1, now)
        return [sa.log(Level.INFO, f"set-up again in {wait:.0f} s")]


def _has(sa: IkeSa, name: str, packet: Pair | None) -> bool:
    """Whether the child is up; for a packet, whether one of that name carries it."""
    return sa.has_child(name) and not (packet is not None and sa.lacks(name, packet))


def _takes_children(sa: IkeSa) -> bool:
    if sa.phase is Phase.ESTABLISHED:
        return not sa.contested
    return sa.phase is Phase.CONNECTING and sa.initiator
