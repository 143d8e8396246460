"""The private keys of a configuration, and a token that gives no answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ikepy.config import toml_source
from ikepy.config.model import Config
from ikepy.crypto.schemes import Scheme
from ikepy.daemon.signer.configured import load_at_start, sources
from ikepy.daemon.signer.messages import Answer, LoadToken, Request
from ikepy.daemon.signer.signer import Signer
from ikepy.daemon.signer.signer_process import SignerProcess, SignerSilentError
from tests.pki import chain

MOON = chain("ecdsa").moon
MODULE = "/usr/lib/hangs.so"
PATIENCE = 30.0  # seconds


class Hanging(SignerProcess):
    """A process that gives no answer about tokens until it is let go."""

    def __init__(self, on_end: Callable[[str], object], gate: threading.Event) -> None:
        super().__init__(on_end)
        self.asked = 0
        self.gate = gate

    def ask(self, make: Callable[[int], Request], fd: int | None = None, wait: float = PATIENCE) -> Answer:
        if not isinstance(make(0), LoadToken):
            return super().ask(make, fd, wait)
        self.asked += 1
        self.gate.wait(wait)
        raise SignerSilentError("the signer gives no answer")


def config(directory: Path) -> Config:
    path = MOON.write(directory, "gw")[1]
    tokens = "".join(f'[secrets.token-{n}]\nhandle = "0{n}"\nmodule = "{MODULE}"\n' for n in range(3))
    return toml_source.parse(f'[secrets.private-gw]\nfile = "{path}"\n{tokens}')


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def made(gate: threading.Event) -> Iterator[tuple[Signer, list[Hanging]]]:
    processes: list[Hanging] = []

    def start(on_end: Callable[[str], object]) -> SignerProcess:
        processes.append(Hanging(on_end, gate))
        return processes[-1]

    signer = Signer(start)
    yield signer, processes
    gate.set()
    signer.close()


def test_a_module_that_hangs_is_waited_for_once(
    made: tuple[Signer, list[Hanging]], gate: threading.Event, tmp_path: Path
) -> None:
    signer, processes = made
    wanted = sources(config(tmp_path))
    threading.Timer(0.1, gate.set).start()
    assert [name for name, _ in signer.configure(wanted)] == [f"secrets.token-{n}" for n in range(3)]
    assert processes[0].asked == 1 and list(signer.keys) == [MOON.key_id]


def test_a_token_that_hangs_holds_up_no_start(
    made: tuple[Signer, list[Hanging]], gate: threading.Event, tmp_path: Path
) -> None:
    """Keys of files are there at once, and signatures by them."""
    signer, _ = made

    async def start() -> None:
        await load_at_start(signer, config(tmp_path), 0.1)
        while MOON.key_id not in signer.keys:  # on a slow machine  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert not gate.is_set()
        assert await asyncio.to_thread(signer.job(MOON.key_id, Scheme.ECDSA_SHA256, b"octets"))
        gate.set()

    asyncio.run(start())
