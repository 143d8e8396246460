"""A RADIUS server of a test, in a thread: what it answers is for the test to say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType

from pyrad.dictionary import Dictionary
from pyrad.packet import AuthPacket, Packet

from ikepy.config.radius import Radius
from ikepy.config.toml_source import parse

SECRET = b"a secret of RADIUS alone"
Respond = Callable[[bytes], list[bytes]]


class Server:
    """Answers each datagram with those that `respond` gives. `requests`: what came."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.port = int(self._socket.getsockname()[1])
        self.requests: list[bytes] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                datagram, sender = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            self.requests.append(datagram)
            for answer in self._respond(datagram):
                self._socket.sendto(answer, sender)


def answer(
    request: bytes,
    code: int,
    *,
    signed: bool = True,
    secret: bytes = SECRET,
    attributes: dict[int | tuple[int, int], list[bytes]] | None = None,
) -> bytes:
    """An answer to a request. `signed`: with a Message-Authenticator."""
    asked = AuthPacket(packet=request, secret=secret, dict=Dictionary())
    reply: Packet = asked.CreateReply(message_authenticator=signed)
    reply.code = code
    for key, values in (attributes or {}).items():
        reply[key] = values
    return bytes(reply.ReplyPacket())


def settings(*ports: int, tries: int = 1, timeout: float = 2.0) -> Radius:
    """Servers on these ports, each preferred to the next."""
    servers = "".join(
        f'[radius.servers.s{number}]\naddress = "127.0.0.1"\nauth_port = {port}\nacct_port = {port}\n'
        f'preference = {100 - number}\nsecret = "{SECRET.decode()}"\n'
        for number, port in enumerate(ports)
    )
    text = f"[radius]\nretransmit_timeout = {timeout}\nretransmit_base = 1.0\nretransmit_tries = {tries}\n"
    radius = parse(text + servers).radius
    assert radius is not None
    return radius
