"""An onlooker of two machines' network: a session that is fed all that passes, and the machines' keys."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret
from ikepy.dissect.keys import IkeKeys
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Message
from ikepy.dissect.session import Session
from ikepy.dissect.told import of_schedule
from ikepy.sa.api.key_log import NOBODY
from ikepy.sa.api.path import Endpoint
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network, Options, Script, deliver_all

ENDS = {"a": Endpoint(ADDRESS_A, 500), "b": Endpoint(ADDRESS_B, 500)}


class Onlooker:
    """Sees each datagram when it is sent. `tells_secrets`, `tells_keys`: what it is told of the keys; `only`:
    by this machine alone."""

    def __init__(
        self,
        options: Options | None = None,
        responder: Options | None = None,
        *,
        psks: Sequence[bytes] = (),
        tells_secrets: bool = True,
        tells_keys: bool = True,
        only: str = "",
        script: Script = deliver_all,
        credentials: tuple[Credentials, Credentials] = (NO_CREDENTIALS, NO_CREDENTIALS),
    ) -> None:
        self.session = Session(psks=psks)
        self.ladder = Ladder()
        self.told: list[IkeKeys] = []
        self.datagrams: list[bytes] = []
        self._tells_secrets, self._tells_keys, self._script = tells_secrets, tells_keys, script
        logs = (NOBODY if only == "b" else self, NOBODY if only == "a" else self)
        self.net = Network(options, responder, key_logs=logs, credentials=credentials)
        self.net.script = self._see

    def shared_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> None:
        if self._tells_secrets:
            self._add(self.session.add_secret(public_i, public_r, secret.expose()))

    def ike_keys(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> None:
        self.told.append(of_schedule(spi_i, spi_r, schedule))
        if self._tells_keys:
            self._add(self.session.add_ike_keys(self.told[-1]))

    def _add(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.ladder.add(message)

    def _see(self, line: str, nth: int, data: bytes) -> list[float]:
        source, destination = ENDS[line[0]], ENDS[line[5]]
        self.datagrams.append(data)
        message = self.session.feed(self.net.now, source, destination, data)
        assert message is not None
        self.ladder.add(message)
        return self._script(line, nth, data)

    @property
    def summaries(self) -> list[str]:
        return [one.summary for one in self.ladder]

    @property
    def findings(self) -> list[str]:
        return [text for one in self.ladder for text in one.findings]

    @property
    def problems(self) -> list[str]:
        return [text for one in self.ladder for text in one.problems]
