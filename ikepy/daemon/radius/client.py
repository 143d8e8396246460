"""Asks RADIUS servers over UDP and waits for the answer: retransmission, failover, checks (RFC 2865 2.4,
2.5).

Every answer to an Access-Request must have a Message-Authenticator: without it MD5 lets somebody in between
turn a refusal into an acceptance (CVE-2024-3596). What is not authentic is not looked at, and the wait goes
on.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock

from pyrad.dictionary import Dictionary
from pyrad.packet import (
    AccessRequest,
    AccountingRequest,
    AccountingResponse,
    AcctPacket,
    AuthPacket,
    Packet,
    PacketError,
)

from ikepy.config.radius import Radius, RadiusServer
from ikepy.daemon.radius.answers import ACCESS_ANSWERS, Answer, NoAnswer
from ikepy.daemon.radius.attributes import MPPE_RECV_KEY, MPPE_SEND_KEY, Attributes, Key

MAX_PACKET = 4096  # octets (RFC 2865 3)
MOST_IGNORED = 64  # datagrams that are no answer, of one wait
REST = 60.0  # seconds for which a server that did not answer is asked last
_NO_NAMES = Dictionary()  # attributes go by their numbers


@dataclass(slots=True)
class RadiusClient:
    """Asks the servers of `settings`; may be used by several threads at once."""

    settings: Radius
    clock: Callable[[], float] = time.monotonic
    _resting: dict[str, float] = field(default_factory=dict)  # until when, by server
    _lock: Lock = field(default_factory=Lock)

    def access(self, attributes: Attributes, server: str | None = None) -> Answer:
        """As `Client.access`."""
        return self._ask(attributes, server, accounting=False)

    def account(self, attributes: Attributes) -> Answer:
        """As `Client.account`."""
        return self._ask(attributes, None, accounting=True)

    def _ask(self, attributes: Attributes, wanted: str | None, *, accounting: bool) -> Answer:
        reasons = []
        for server in self._candidates(wanted):
            try:
                answer = self._exchange(server, attributes, accounting)
            except (OSError, NoAnswer) as error:
                reasons.append(f"{server.name}: {error}")
                with self._lock:
                    self._resting[server.name] = self.clock() + REST
            else:
                with self._lock:
                    self._resting.pop(server.name, None)
                return answer
        raise NoAnswer(f"no RADIUS server answers ({'; '.join(reasons) or 'none is configured'})")

    def _candidates(self, wanted: str | None) -> list[RadiusServer]:
        """In the order in which they are asked: those that did not answer of late come last."""
        if wanted is not None:
            return [one for one in self.settings.in_order if one.name == wanted]
        with self._lock:
            now = self.clock()
            resting = {name for name, until in self._resting.items() if until > now}
        return sorted(self.settings.in_order, key=lambda one: one.name in resting)

    def _exchange(self, server: RadiusServer, attributes: Attributes, accounting: bool) -> Answer:
        request = _request(server, attributes, accounting)
        octets = request.RequestPacket()
        port = server.acct_port if accounting else server.auth_port
        host = str(server.address)
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as connected:
            connected.connect(address)  # so that nobody else is heard
            for seconds in self._waits():
                connected.send(octets)
                for datagram in _received(connected, self.clock() + seconds, self.clock):
                    answer = _answer(request, datagram, server.name, accounting)
                    if answer is not None:
                        return answer
        raise NoAnswer("no answer")

    def _waits(self) -> Iterator[float]:
        """Seconds after each sending."""
        settings = self.settings
        for number in range(settings.retransmit_tries + 1):
            yield settings.retransmit_timeout * settings.retransmit_base**number


def _request(server: RadiusServer, attributes: Attributes, accounting: bool) -> Packet:
    kind, code = (AcctPacket, AccountingRequest) if accounting else (AuthPacket, AccessRequest)
    request = kind(code=code, id=secrets.randbelow(256), secret=server.secret.expose(), dict=_NO_NAMES)
    request.add_message_authenticator()
    for key, value in attributes:
        request[key] = [*request.get(key, []), value]
    return request


def _received(connected: socket.socket, until: float, clock: Callable[[], float]) -> Iterator[bytes]:
    """Datagrams until the time is over. OSError if the server refuses them (ICMP)."""
    for _ in range(MOST_IGNORED):
        left = until - clock()
        if left <= 0:
            return
        connected.settimeout(left)
        try:
            yield connected.recv(MAX_PACKET + 1)
        except TimeoutError:
            return


def _answer(request: Packet, datagram: bytes, server: str, accounting: bool) -> Answer | None:
    """None if the datagram is no authentic answer to the request."""
    if len(datagram) > MAX_PACKET:
        return None
    try:
        reply = request.CreateReply(packet=datagram)
        permitted = {AccountingResponse} if accounting else ACCESS_ANSWERS
        if reply.code not in permitted or not request.VerifyReply(reply, datagram, enforce_ma=True):
            return None
        reply.request_authenticator = request.authenticator
        values: dict[Key, list[bytes]] = {
            key: [bytes(one) for one in values]
            for key, values in dict.items(reply)
            if isinstance(values, list)
        }
        for key in (MPPE_SEND_KEY, MPPE_RECV_KEY):
            if key in values:
                values[key] = [reply.SaltDecrypt(one) for one in values[key][:1]]
    except (PacketError, ValueError, IndexError):
        return None
    return Answer(reply.code, values, server)
