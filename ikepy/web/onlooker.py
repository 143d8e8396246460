"""Dissects what the window sees, with the keys that daemons write to their key logs (`keylog_dir`).

Without a key log it shows what anybody on the way can see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import SEEK_END, FileIO
from pathlib import Path

from ikepy.dissect import keyfile
from ikepy.dissect.derivation import Step
from ikepy.dissect.esp import dissect_esp
from ikepy.dissect.keys import Keys
from ikepy.dissect.message import Message
from ikepy.dissect.session import MAX_MESSAGES, NAT_T_PORT, Session
from ikepy.dissect.tree import Layer
from ikepy.errors import ConfigError
from ikepy.sa.api.path import Endpoint
from ikepy.web.window import NotThereError
from ikepy.wire.constants import NON_ESP_MARKER

MOST = 1 << 20  # octets of a key log that are read at once
SHOWN = 16  # IKE_SAs whose keys are derived for the page, the newest


class Onlooker:
    """`key_logs`: the files. `psks`: preshared keys, to recompute AUTH with. `most`: messages that are
    remembered, to be opened when their keys come."""

    def __init__(
        self, key_logs: Sequence[Path] = (), psks: Sequence[bytes] = (), most: int = MAX_MESSAGES
    ) -> None:
        self._session = Session(psks=psks, most=most)
        self._files = [_Growing(path) for path in key_logs]

    def close(self) -> None:
        """Close the key logs. May be called twice."""
        for file in self._files:
            file.close()

    def feed(
        self, time_s: float, source: Endpoint, destination: Endpoint, octets: bytes
    ) -> Iterable[Message]:
        """An IKE message without non-ESP marker: the message that it is, or is more of."""
        marked = NAT_T_PORT in (source.port, destination.port)
        found = self._session.feed(time_s, source, destination, NON_ESP_MARKER + octets if marked else octets)
        return [] if found is None else [found]

    @property
    def keys(self) -> Keys:
        """All keys that were told or derived."""
        return self._session.keys

    def skip(self) -> None:
        """Open the key logs, and pass over what is in them."""
        for file in self._files:
            file.skip()

    def learn(self) -> list[Message]:
        """Read what is new in the key logs: the messages that can be opened now."""
        grown = [text for file in self._files if (text := file.new())]
        for text in grown:
            try:
                keyfile.read(text, self.keys)
            except ConfigError:  # one line of many, which somebody else has written
                continue
        return self._session.reopened() if grown else []

    def open_esp(self, packet: bytes) -> tuple[Layer, ...]:
        """The layers of an ESP packet from its SPI on; the packet inside is the last, if its keys are
        known."""
        keys = self.keys.esp.get(int.from_bytes(packet[:4], "big"), [])
        return dissect_esp(packet, keys).layers

    def sas(self) -> list[tuple[str, int]]:
        """The IKE_SAs whose keys can be derived, by their SPIs, with the number of steps; the newest
        first."""
        witness = self._session.witness
        known = [(f"{i.hex()}_{r.hex()}", len(witness.steps(i, r))) for i, r in witness.sas]
        return [(name, count) for name, count in reversed(known) if count][:SHOWN]

    def steps(self, name: str) -> dict[str, object]:
        """How the keys of an IKE_SA came about, step by step. Raises NotThereError."""
        witness = self._session.witness
        for spi_i, spi_r in witness.sas:
            if f"{spi_i.hex()}_{spi_r.hex()}" == name:
                steps = witness.steps(spi_i, spi_r)
                return {"spi_i": spi_i.hex(), "spi_r": spi_r.hex(), "steps": [_step(one) for one in steps]}
        raise NotThereError("no such IKE_SA was seen")


def _step(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "formula": step.formula,
        "inputs": [[name, octets.hex()] for name, octets in step.inputs],
        "output": step.output.hex(),
        "note": step.note,
        "rfc": step.rfc,
    }


class _Growing:
    """A file of lines that others append to; it is opened once, as soon as it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._rest = b""

    def new(self) -> str:
        """The whole lines since the last call; "" if there are none."""
        try:
            if self._file is None:
                self._file = FileIO(self._path)
            octets = self._rest + (self._file.read(MOST) or b"")
        except OSError:
            return ""
        end = octets.rfind(b"\n") + 1
        self._rest = octets[end:]
        return octets[:end].decode(errors="replace")

    def skip(self) -> None:
        """Go to the end."""
        with suppress(OSError):
            self._file = FileIO(self._path)
            self._file.seek(0, SEEK_END)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
