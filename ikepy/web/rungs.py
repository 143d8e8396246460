"""The ladder of a page: each message of IKE with the datagrams that carried it, as both ends saw them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Kind, Message
from ikepy.dissect.names import EXCHANGES, short
from ikepy.dissect.render.as_json import message_value
from ikepy.sa.api.path import Endpoint
from ikepy.web.crossings import Crossing, Crossings, View
from ikepy.web.window import NotThereError

REMEMBERED = 500  # messages
# Of one message and of all, beside each one's first: whoever repeats messages may send any number.
DATAGRAMS, OCTETS = 64, 8 << 20

Feed = Callable[
    [float, Endpoint, Endpoint, bytes], Iterable[Message]
]  # -> messages that are new, or known better


@dataclass(slots=True)
class Rung:
    """One message: its latest dissection, and its datagrams. `sender`: the node; "" if nobody knows."""

    message: Message
    sender: str
    crossings: list[Crossing] = field(default_factory=list)

    @property
    def octets(self) -> int:
        """Of the datagrams that it keeps."""
        return sum(len(one.first.octets) for one in self.crossings)

    def describe(self) -> dict[str, object]:
        """For the ladder: no layers."""
        one = self.message
        return {
            "number": one.number,
            "time": one.time_s,
            "sender": self.sender,
            "summary": one.summary,
            "exchange": short(EXCHANGES, one.exchange) if one.exchange else one.kind.value,
            "message_id": one.message_id,
            "is_response": one.is_response,
            "spi_i": one.spi_i.hex(),
            "spi_r": one.spi_r.hex(),
            "decrypted": len(one.layers) > 1,
            "findings": list(one.findings),
            "problems": list(one.problems),
            "octets": len(one.layers[0].octets),
            "datagrams": [crossing.describe() for crossing in self.crossings],
        }


class Rungs:
    """The last messages, made of the datagrams that either end sends and receives.

    `feed` dissects a datagram (an IKE message without non-ESP marker); `changed` hears the numbers of
    messages that are new or look different now.
    """

    def __init__(self, feed: Feed, changed: Callable[[Rung], None]) -> None:
        self._feed = feed
        self._changed = changed
        self._crossings = Crossings()
        self._rungs: OrderedDict[int, Rung] = OrderedDict()
        self._of_crossing: OrderedDict[int, int] = OrderedDict()  # crossing -> message
        self._octets = 0  # of the datagrams that rungs keep

    def sent(self, view: View) -> None:
        """An end sends a datagram."""
        self._dissect(self._crossings.sent(view))

    def arrived(self, view: View) -> None:
        """A datagram arrives at an end."""
        crossing = self._crossings.arrived(view)
        if crossing.number in self._of_crossing:
            self._tell(crossing)
        else:
            self._dissect(crossing)

    def meddled(self, octets: bytes, fate: str) -> None:
        """Something is done to a datagram on the way."""
        crossing = self._crossings.meddled(octets, fate)
        if crossing is not None:
            self._tell(crossing)

    def learned(self, messages: Iterable[Message]) -> None:
        """More is known of messages, now that there are keys."""
        for message in messages:
            rung = self._rungs.get(message.number)
            if rung is not None:
                rung.message = message
                self._changed(rung)

    def whole(self) -> list[dict[str, object]]:
        """All messages, oldest first."""
        return [rung.describe() for rung in self._rungs.values()]

    def ladder(self, viewpoint: str = "") -> Ladder:
        """All messages for export, with the addresses that the node `viewpoint` sees: a NAT changes them."""
        return Ladder(_seen_by(viewpoint, rung) for rung in self._rungs.values())

    def message(self, number: str) -> dict[str, object]:
        """One message with its layers. Raises NotThereError."""
        rung = self._rungs.get(int(number)) if number.isdecimal() and len(number) < 10 else None
        if rung is None:
            raise NotThereError("the message is not here (any more)")
        return {**rung.describe(), **message_value(rung.message)}

    def clear(self) -> None:
        """Forget all messages."""
        self._rungs.clear()
        self._of_crossing.clear()
        self._octets = 0

    def _dissect(self, crossing: Crossing) -> None:
        view = crossing.first
        found = list(self._feed(view.time, endpoint(view.source), endpoint(view.destination), view.octets))
        for place, message in enumerate(found):
            if message.kind is not Kind.IKE:
                continue
            rung = self._rungs.get(message.number)
            if rung is None:
                rung = Rung(message, "" if crossing.sent is None else crossing.sent.node)
                self._rungs[message.number] = rung
                if len(self._rungs) > REMEMBERED:
                    _, oldest = self._rungs.popitem(last=False)
                    self._octets -= oldest.octets
            rung.message = message
            if place == 0:
                more = len(rung.crossings) < DATAGRAMS and self._octets < OCTETS
                if more or not rung.crossings:
                    rung.crossings.append(crossing)
                    self._octets += len(view.octets)
                self._of_crossing[crossing.number] = message.number
                if len(self._of_crossing) > 4 * REMEMBERED:
                    self._of_crossing.popitem(last=False)
            self._changed(rung)

    def _tell(self, crossing: Crossing) -> None:
        rung = self._rungs.get(self._of_crossing.get(crossing.number, -1))
        if rung is not None:
            self._changed(rung)


def _seen_by(node: str, rung: Rung) -> Message:
    views = [view for crossing in rung.crossings for view in crossing.arrivals if view.node == node]
    if rung.sender == node or not views:
        return rung.message
    return replace(rung.message, source=endpoint(views[0].source), destination=endpoint(views[0].destination))


def endpoint(text: str) -> Endpoint:
    """Of "address[port]"."""
    address, _, port = text.rpartition("[")
    return Endpoint(ip_address(address), int(port[:-1]))
