"""What comes for a case: messages and ESP packets, opened; and the courtesies that nobody need wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ikepy.probe.child import Child, Inner, echo_reply, parse_inner
from ikepy.probe.draft import AnyPayload
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.line import Line
from ikepy.probe.received import Received, read, unseal
from ikepy.probe.target import Address
from ikepy.probe.transport import Datagram
from ikepy.wire.constants import ExchangeType, ProtocolId
from ikepy.wire.payloads import DeletePayload

_MOST = 1000  # messages, and packets, that are kept


@dataclass(frozen=True, slots=True)
class EspPacket:
    """An ESP packet that came: under which child, if any, and the inner packet or why there is none."""

    octets: bytes
    child: Child | None
    inner: Inner | None
    problem: str

    def is_for(self, destination: Address) -> bool:
        """Whether the inner packet goes to this address."""
        return self.inner is not None and self.inner.destination == destination

    def __str__(self) -> str:
        spi = self.octets[:4].hex()
        return f"ESP {spi}: {self.inner or self.problem}"


class Inbox:
    """The transport's receiver for one case. `messages`, `packets`: those that nobody has taken yet; `sas`:
    the case's IKE_SAs. `listening`: requests of IKE_SAs that we don't know are for it. `answers_echo`: echo
    requests that come through a tunnel are answered."""

    def __init__(self, line: Line) -> None:
        self.sas: list[IkeSa] = []
        self.messages: list[Received] = []
        self.packets: list[EspPacket] = []
        self.claimed: set[bytes] = set()  # SPIs of initiators whose messages are for the case
        self.listening = False
        self.answers_echo = True
        self._line = line
        self._requests: dict[bytes, Received] = {}
        self._fragments = 0  # that came
        self._children: dict[bytes, Child] = {}  # all that ever received

    def sa_of(self, spi_i: bytes, spi_r: bytes) -> IkeSa | None:
        """The IKE_SA of these SPIs, or else of the initiator's."""
        exact = (sa for sa in self.sas if sa.spi_i == spi_i and sa.spi_r == spi_r)
        return next(exact, next((sa for sa in self.sas if sa.spi_i == spi_i), None))

    def take_ike(self, datagram: Datagram, octets: bytes) -> bool:
        """Of the transport: whether this message is for the case, for which it is kept then."""
        got = read(datagram.time_s, octets, datagram.port, datagram.remote_port)
        if got is None:
            return False
        header = got.header
        if header.spi_i not in self.claimed and (header.is_response or not self.listening):
            return False
        self._line.trace.add(datagram)
        sa = self.sa_of(header.spi_i, header.spi_r)
        if not self._is_copy(got) and self._is_whole(sa, got):
            self._take(sa, got)
        self._line.wake()
        return True

    def _is_copy(self, got: Received) -> bool:
        """Whether it is a request that came before, or its first fragment (RFC 7383 2.6.1); if it was
        answered, it is answered again."""
        before = None if got.header.is_response else self._requests.get(got.octets)
        if before is None:
            return False
        before.copies += 1
        if before.answer is not None:
            self._line.courtesy(self._line.send_ike(before.answer, got.port))
        return True

    def _is_whole(self, sa: IkeSa | None, got: Received) -> bool:
        """Open it if we have the keys. False for a fragment of a message whose others have not come."""
        if sa is None or sa.keys is None:
            return True
        self._fragments += got.is_fragment
        if got.is_fragment and self._fragments > _MOST:
            got.problem = f"more than {_MOST} fragments"
            return True
        return unseal(got, sa.keys.cipher_in, sa.fragments)

    def _take(self, sa: IkeSa | None, got: Received) -> None:
        if not got.header.is_response and len(self._requests) < _MOST:
            self._requests[got.octets] = got
        if sa is not None and got.header.exchange == ExchangeType.IKE_SA_INIT and got.error is None:
            sa.init_answer = got
        if len(self.messages) < _MOST:
            self.messages.append(got)
            if sa is not None and sa.courteous and sa.established and not got.problem:
                self._be_courteous(sa, got)

    def _be_courteous(self, sa: IkeSa, got: Received) -> None:
        """Answer a liveness check or a delete, and note what was deleted."""
        if got.header.is_response or got.header.exchange != ExchangeType.INFORMATIONAL:
            return
        deleted = got.all(DeletePayload)
        spis = [spi for one in deleted for spi in one.spis]
        gone = [child for child in sa.children if child.spi_out in spis]
        sa.children = [child for child in sa.children if child not in gone]
        if any(one.protocol == ProtocolId.IKE for one in deleted):
            sa.established = False
        payloads: Sequence[AnyPayload] = [sa.delete_payload(*gone)] if gone else []
        got.answer = sa.response(got, payloads).encode()
        self._line.courtesy(self._line.send_ike(got.answer, got.port))

    def take_esp(self, datagram: Datagram, octets: bytes) -> bool:
        """Of the transport: whether this ESP packet is of one of the case's children."""
        children = [*self._children.values(), *(one for sa in self.sas for one in sa.children)]
        child = next((one for one in children if one.spi_in == octets[:4]), None)
        if child is None:
            return False
        self._children[child.spi_in] = child
        self._line.trace.add(datagram)
        opened = child.open(octets)
        inner = parse_inner(opened) if isinstance(opened, bytes) else None
        problem = opened if isinstance(opened, str) else "" if inner else "no IP packet inside"
        if len(self.packets) < _MOST:
            self.packets.append(EspPacket(octets, child, inner, problem))
        if inner is not None and inner.is_request and self.answers_echo:
            self._line.courtesy(self._line.send_esp(child.seal(echo_reply(inner))))
        self._line.wake()
        return True
