"""Records events as a subscriber gets them, and holds their order: the law of `ikepy.sa.api.events`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ikepy.daemon.bus.event_bus import EventBus, Item, Missed, Subscription
from ikepy.sa.api.events import (
    EVENTS,
    ChildDown,
    ChildExpired,
    ChildRekeyed,
    ChildRekeyFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeExpired,
    IkeMoved,
    IkeRekeyed,
    IkeRekeyFailed,
    IkeSetUpFailed,
    IkeUp,
    PacketRefused,
)


@dataclass(slots=True)
class EventChains:
    """What is up, as the events tell it: raises AssertionError for one that does not fit the others.

    `ike_sas`: the ike_ids that are up, with the one that each chain began with. `children`: likewise.
    """

    ike_sas: dict[int, int] = field(default_factory=dict)
    children: dict[int, int] = field(default_factory=dict)
    ended_ike_sas: set[int] = field(default_factory=set)  # ike_ids that were up and are not any more
    ended_children: set[int] = field(default_factory=set)
    rekeyed_children: set[int] = field(default_factory=set)  # of these, the ones that may be up again
    failed: set[int] = field(default_factory=set)  # ike_ids that did not come up
    events: list[Event] = field(default_factory=list)
    bus: EventBus = field(default_factory=EventBus)
    _told: Subscription = field(init=False)

    def __post_init__(self) -> None:
        self._told = self.bus.subscribe(*EVENTS)

    def publish(self, event: Event) -> None:
        """As the daemon does: every subscriber gets it, and this one judges it."""
        self.bus.publish(event)
        for told in self._told.take():
            assert not isinstance(told, Missed)
            self.record(told)

    def record(self, event: Item) -> None:
        assert isinstance(event, Event)
        self.events.append(event)
        match event:
            case IkeUp(sa):
                self._begin(self.ike_sas, self.ended_ike_sas, sa.ike_id)
                assert sa.established_at is not None and sa.local_id is not None and sa.remote_id is not None
            case IkeRekeyed(old, new):
                self._go_on(self.ike_sas, self.ended_ike_sas, old.ike_id, new.ike_id)
                assert old.connection == new.connection
            case IkeDown(sa):
                self._end(self.ike_sas, self.ended_ike_sas, sa.ike_id)
            case IkeSetUpFailed(sa) if sa is not None:
                assert sa.ike_id not in {*self.failed, *self.ike_sas, *self.ended_ike_sas}
                self.failed.add(sa.ike_id)
            case IkeMoved(sa, old):
                assert sa.ike_id in self.ike_sas
                assert sa.path != old
            case IkeExpired(sa) | IkeRekeyFailed(sa):
                assert sa.ike_id in self.ike_sas
            case ChildUp(sa, child):
                assert sa.ike_id in self.ike_sas, "a child is up before its IKE_SA"
                if child.child_id in self.rekeyed_children:
                    self.ended_children.remove(child.child_id)
                self._begin(self.children, self.ended_children, child.child_id)
            case ChildRekeyed(_, one, other):
                self._go_on(self.children, self.ended_children, one.child_id, other.child_id)
                assert one.name == other.name
                self.rekeyed_children.add(one.child_id)
            case ChildDown(_, child):
                self._end(self.children, self.ended_children, child.child_id)
            case ChildExpired(_, child) | ChildRekeyFailed(_, child):
                assert child.child_id not in self.ended_children or child.state != "INSTALLED"
            case PacketRefused(_, child):
                assert child.spi_in
            case _:
                pass

    @staticmethod
    def _begin(up: dict[int, int], ended: set[int], number: int) -> None:
        assert number not in up and number not in ended, f"#{number} is up a second time"
        up[number] = number

    @staticmethod
    def _go_on(up: dict[int, int], ended: set[int], old: int, new: int) -> None:
        assert old in up, f"#{old} is rekeyed, which is not up"
        assert new not in up and new not in ended, f"#{new} is up a second time"
        up[new] = up.pop(old)
        ended.add(old)

    @staticmethod
    def _end(up: dict[int, int], ended: set[int], number: int) -> None:
        assert number in up, f"#{number} is down, which is not up"
        del up[number]
        ended.add(number)
