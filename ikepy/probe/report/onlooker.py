"""A case's messages as an onlooker with its keys sees them: the ladder, and the keys for Wireshark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from ikepy.crypto.captured import ENCRYPTION_BY_ID, INTEGRITY_BY_ID
from ikepy.dissect import datagrams
from ikepy.dissect.keys import EspKeys, IkeKeys, Keys
from ikepy.dissect.keytables import Unwritable, esp_line, ike_line
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.session import Session
from ikepy.dissect.told import of_schedule
from ikepy.probe.child import Child, has_esn
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.target import Address, Target
from ikepy.probe.transport import Datagram
from ikepy.sa.api.path import Endpoint
from ikepy.wire.constants import NON_ESP_MARKER

MAX_FIELDS = 100_000  # of a ladder: what a peer sends is not to fill memory and disk

K = TypeVar("K", IkeKeys, EspKeys)


class Onlooker:
    """Has the keys that the case's IKE_SAs had."""

    def __init__(self, target: Target, sas: Iterable[IkeSa]) -> None:
        self._target = target
        self.keys = Keys()
        self._ike: list[IkeKeys] = []
        self._esp: list[EspKeys] = []
        for sa in sas:
            if sa.keys is not None:
                self._ike.append(of_schedule(sa.spi_i, sa.spi_r, sa.keys.schedule))
                self._esp += [one for child in sa.all_children for one in _esp_keys(child, target)]
        for ike in self._ike:
            self.keys.add_ike(ike)
        for esp in self._esp:
            self.keys.add_esp(esp)

    def ladder(self, seen: Iterable[Datagram]) -> Ladder:
        """The messages, opened, in their order; no more once they have MAX_FIELDS fields."""
        session = Session(self.keys, psks=[self._target.psk.expose()])
        ladder, fields = Ladder(), 0
        for one in self.seen(seen):
            is_esp = one.protocol == datagrams.ESP or self._is_encapsulated(one)
            feed = session.feed_esp if is_esp else session.feed
            message = feed(one.time_s, one.source, one.destination, one.payload)
            if message is not None:
                former = ladder.get(message.number)
                fields += message.fields - (0 if former is None else former.fields)
                ladder.add(message)
            if fields >= MAX_FIELDS:
                break
        return ladder

    def seen(self, seen: Iterable[Datagram]) -> Iterator[datagrams.Datagram]:
        """What was sent and received, between its ends."""
        for one in seen:
            ours = Endpoint(self._target.local, one.port)
            theirs = Endpoint(self._target.host, one.remote_port)
            ends = (ours, theirs) if one.sent else (theirs, ours)
            protocol = datagrams.UDP if one.port else datagrams.ESP
            yield datagrams.Datagram(one.time_s, *ends, one.octets, protocol)

    def _is_encapsulated(self, one: datagrams.Datagram) -> bool:
        """Whether it is ESP in UDP, by the port that we use for NAT traversal, which may be any."""
        ours = self._target.local_nat_port in (one.source.port, one.destination.port)
        return ours and one.payload[:4] != NON_ESP_MARKER and len(one.payload) > 1

    def ike_table(self) -> str:
        """Wireshark's `ikev2_decryption_table`. Algorithms that it lacks are left out."""
        return _table(self._ike, ike_line)

    def esp_table(self) -> str:
        """Wireshark's `esp_sa`."""
        return _table(self._esp, esp_line)


def _table(keys: Iterable[K], line: Callable[[K], str]) -> str:
    """A row for each of the keys whose algorithms Wireshark has."""
    rows = []
    for one in keys:
        with suppress(Unwritable):
            rows.append(f"{line(one)}\n")
    return "".join(rows)


def _esp_keys(child: Child, target: Target) -> Iterator[EspKeys]:
    suite, cut = child.inbound.suite, child.inbound.suite.encr_key_length
    encryption = ENCRYPTION_BY_ID[suite.encr]
    integrity = None if suite.integ is None else INTEGRITY_BY_ID[suite.integ]
    ways: tuple[tuple[bytes, bytes, Address, Address], ...] = (
        (child.spi_in, child.key_in.expose(), target.host, target.local),
        (child.spi_out, child.key_out.expose(), target.local, target.host),
    )
    for spi, key, source, destination in ways:
        place = (target.host.version, str(source), str(destination))
        spi_number, esn = int.from_bytes(spi), has_esn(child.chosen)
        yield EspKeys(spi_number, encryption, key[:cut], integrity, key[cut:], *place, esn)
