"""An initiator made of our own IKE machine over one UDP socket: it speaks every method that ikepy has.

It costs about what a gateway costs, so the responder's CPU time is what is measured with it, and the rate
only where the responder is the slower one. Jobs run at once, ESP is set up nowhere.
"""

from __future__ import annotations

import os
import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from ipaddress import ip_address

from ikepy.config.model import Config
from ikepy.lab.netns import LabError
from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Compute, Effect, Level, Log, Outcome, Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from ikepy.sa.manager import IkeManager
from ikepy.wire.constants import NON_ESP_MARKER, ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.message import IkeHeader, protected_prefix

PORT = 4500
LARGEST = 65535
BUFFER = 4 << 20  # octets that the socket may keep
OVERHEAD = 28  # octets of the IPv4 and UDP headers
FIRST_FREE = 1  # message ID of what a set-up by pre-shared key uses last
MESSAGE_ID = slice(20, 24)  # in the header
PATIENCE = 60.0  # seconds without any set-up


class Randomness:
    """The system's; ESP SPIs need not name a worker."""

    def random(self, n: int) -> bytes:
        return os.urandom(n)

    def child_spi(self, connection: str) -> int:
        return random.SystemRandom().randrange(256, 1 << 32)

    def uniform(self) -> float:
        return 0.5


class MachineInitiator:
    """Brings up the child "net" of each of its connections once. `octets`: of all IP packets, both ways.

    The connections have `local_port` and `remote_port` 4500. Make it in the initiator's namespace.
    """

    def __init__(
        self, config: Config, local: str, remote: str, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        addresses = ip_address(local), ip_address(remote)
        self._path = Path(*(Endpoint(one, PORT) for one in addresses))
        self._manager = IkeManager(
            config, Randomness(), resolve=lambda connection, failed: addresses, credentials=credentials
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.bind((local, PORT))
        self._socket.connect((remote, PORT))
        self._effects: deque[Effect] = deque()
        self._under_way: set[int] = set()
        self._troubles: list[str] = []
        self._asked = 0
        self.octets = 0

    def close(self) -> None:
        self._socket.close()

    def set_up(self, connections: Iterable[str], in_flight: int) -> None:
        """So many at a time. LabError if one fails, or none comes about for a minute."""
        waiting = deque(enumerate(connections, 1))
        while waiting or self._under_way:
            while waiting and len(self._under_way) < in_flight:
                ticket, name = waiting.popleft()
                self._under_way.add(ticket)
                self._run(self._manager.request(Initiate(name, "net", ticket), time.monotonic()))
            before = len(self._under_way)
            deadline = time.monotonic() + PATIENCE
            while len(self._under_way) == before:
                self._turn()
                if time.monotonic() > deadline:
                    raise LabError(f"no set-up in {PATIENCE:.0f} s; {self._trouble()}")

    def ask(self) -> float:
        """Ask its only IKE_SA's peer for a sign of life; the seconds until the answer comes. LabError without
        one within a second. The machine is told nothing of it."""
        (snapshot,) = self._manager.list_sas(time.monotonic())
        sa = self._manager.find(snapshot.ike_id)
        assert sa is not None
        self._asked += 1
        message_id = FIRST_FREE + self._asked
        header = IkeHeader(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, message_id)
        cipher = sa.keys.cipher_out
        prefix = protected_prefix(header, PayloadType.NONE, cipher.body_length(0))
        message = NON_ESP_MARKER + cipher.seal(prefix, b"", os.urandom)
        begin = time.monotonic()
        self._socket.send(message)
        while select.select([self._socket], [], [], 1.0)[0]:
            answer = self._socket.recv(LARGEST)[len(NON_ESP_MARKER) :]
            if answer[MESSAGE_ID] == message_id.to_bytes(4, "big"):
                return time.monotonic() - begin
        raise LabError("no answer within a second")

    def _turn(self) -> None:
        """Take what has come in, or wait for it until something else is due."""
        due = self._manager.deadline
        wait = 1.0 if due is None else min(1.0, max(0.0, due - time.monotonic()))
        if select.select([self._socket], [], [], wait)[0]:
            try:
                datagram = self._socket.recv(LARGEST)
            except ConnectionRefusedError:
                raise LabError("nobody listens there") from None
            self.octets += len(datagram) + OVERHEAD
            if datagram.startswith(NON_ESP_MARKER):
                inner = datagram[len(NON_ESP_MARKER) :]
                self._run(self._manager.receive(inner, self._path, time.monotonic()))
        elif due is not None and due <= time.monotonic():
            self._run(self._manager.tick(time.monotonic()))

    def _run(self, effects: Iterable[Effect]) -> None:
        self._effects.extend(effects)
        while self._effects:
            match self._effects.popleft():
                case Send(data=data):
                    self.octets += len(data) + len(NON_ESP_MARKER) + OVERHEAD
                    self._socket.send(NON_ESP_MARKER + data)
                case Compute(ticket=ticket, job=job):
                    self._effects.extend(self._manager.complete(ticket, _result(job), time.monotonic()))
                case Outcome(ticket=ticket, ok=ok, text=text):
                    self._under_way.discard(ticket)
                    if not ok:
                        raise LabError(f"a set-up failed: {text}; {self._trouble()}")
                case Log(level=Level.WARNING | Level.ERROR, text=text):
                    self._troubles.append(text)
                case _:
                    pass

    def _trouble(self) -> str:
        return "; ".join(self._troubles[-3:]) or "nothing was logged"


def _result(job: object) -> object:
    """What a job gives, or the exception that it raises: the machine's to judge."""
    assert callable(job)
    try:
        return job()
    except Exception as error:
        return error
