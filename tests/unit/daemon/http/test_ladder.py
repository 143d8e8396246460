"""The ladder of a daemon: its messages, to read only, for whoever has the address that the daemon keeps for
root."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikepy.daemon.errors import StartError
from ikepy.daemon.http.answers import Answer, Stream
from ikepy.daemon.http.ladder import RATE, SPARE, DaemonLadder
from ikepy.daemon.http.ladder_address import forget_address, tell_address
from ikepy.dissect import keyfile
from ikepy.dissect.session import Session
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.path import Path as NetworkPath
from ikepy.web.onlooker import Onlooker
from tests.unit.daemon.bed import run
from tests.unit.daemon.http.test_monitoring import get, make_bed, port

__all__ = ["port"]

PATH = NetworkPath(Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("192.0.2.2"), 500))


def message(number: int, exchange: int = 34) -> bytes:
    """An empty request."""
    head = number.to_bytes(8, "big") + bytes(8) + bytes([0, 0x20, exchange, 0x08])
    return head + bytes(4) + (28).to_bytes(4, "big")


def told(ladder: DaemonLadder) -> dict[str, object]:
    """What a page hears at its beginning, by the events' names."""

    async def all_of_them() -> list[bytes]:
        answer = await ladder.window.get(f"{ladder.window.path}events")
        assert isinstance(answer, Stream)
        return [await anext(answer.parts) for _ in range(2)]

    events = b"".join(asyncio.run(all_of_them())).decode().split("\n\n")[:-1]
    return {
        event.split("\n")[0].removeprefix("event: "): json.loads(event.split("\n")[1].removeprefix("data: "))
        for event in events
    }


def test_what_goes_out_and_what_comes_in() -> None:
    ladder = DaemonLadder(None)
    ladder.seen(message(1), PATH, True)
    ladder.seen(message(2), PATH, False)
    ladder.seen(b"no IKE message", PATH, False)
    messages = told(ladder)["messages"]
    assert isinstance(messages, list)
    assert [(one["exchange"], one["sender"]) for one in messages[:2]] == [
        ("IKE_SA_INIT", "ikepy"),
        ("IKE_SA_INIT", ""),
    ]
    assert messages[0]["datagrams"][0]["sent"]["destination"] == "192.0.2.2[500]"
    assert messages[1]["datagrams"][0]["arrivals"][0]["source"] == "192.0.2.2[500]"
    answer = asyncio.run(ladder.window.get(f"{ladder.window.path}message/0"))
    assert isinstance(answer, Answer)
    assert json.loads(answer.body)["layers"][0]["octets"] == message(1).hex()


def test_nothing_can_be_posted() -> None:
    ladder = DaemonLadder(None)
    assert asyncio.run(ladder.window.post(f"{ladder.window.path}do", b"{}")).status == 404


def test_a_flood_is_shown_in_part() -> None:
    ladder = DaemonLadder(None, clock=lambda: 100.0)
    for number in range(1, RATE[1] + 50):
        ladder.seen(message(number), PATH, False)
    begin, messages = told(ladder)["begin"], told(ladder)["messages"]
    assert isinstance(begin, dict)
    assert isinstance(messages, list)
    assert len(messages) == RATE[1]
    assert begin["left_out"] == 49


def test_costly_messages_are_shown_in_part() -> None:
    """Dissecting takes no more from IKE than SHARE of a CPU, whatever strangers send."""
    moment, used = 100.0, 0.0

    def worked() -> float:
        nonlocal used
        used += 0.025  # at the begin and the end of each
        return used

    ladder = DaemonLadder(None, clock=lambda: moment, worked=worked)
    for number in range(1, 101):
        ladder.seen(message(number), PATH, False)
    shown = told(ladder)["messages"]
    assert isinstance(shown, list)
    assert SPARE / 0.025 <= len(shown) <= SPARE / 0.025 + 2
    moment += 10.0
    ladder.seen(message(101), PATH, False)
    again = told(ladder)["messages"]
    assert isinstance(again, list)
    assert len(again) == len(shown) + 1


def test_a_fault_of_the_ladder_is_none_of_ike(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and the next message is shown."""
    ladder = DaemonLadder(None)
    with monkeypatch.context() as patch:
        patch.setattr(Session, "feed", lambda *_: 1 // 0)
        ladder.seen(message(1), PATH, False)
        ladder.seen(message(2), PATH, False)
    ladder.seen(message(3), PATH, False)
    assert caplog.text.count("the ladder lacks one: ") == 1
    messages = told(ladder)["messages"]
    assert isinstance(messages, list)
    assert len(messages) == 1


def test_keys_of_former_daemons_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a large key log would keep IKE waiting."""
    read: list[str] = []
    monkeypatch.setattr(keyfile, "read", lambda text, _: read.append(text))
    file = tmp_path / "ikepy_keys"
    line = keyfile.secret_line(b"i", b"r", b"secret")
    file.write_text(f"{line}\n" * 1000)
    onlooker = Onlooker([file])
    onlooker.skip()
    assert onlooker.learn() == []
    with file.open("a") as log:
        log.write(f"{line}\n")
    onlooker.learn()
    assert read == [f"{line}\n"]
    onlooker.close()


def test_the_address_is_for_us_alone(tmp_path: Path) -> None:
    (tmp_path / "ladder.url").symlink_to(tmp_path / "elsewhere")
    path = tell_address(tmp_path, "http://127.0.0.1:9427/token/")
    assert path.read_text() == "http://127.0.0.1:9427/token/\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "elsewhere").exists()
    forget_address(path)
    assert not path.exists()
    with pytest.raises(StartError, match=r"daemon\.http\.ladder"):
        tell_address(tmp_path / "nowhere", "http://127.0.0.1:9427/token/")


def test_a_daemon_serves_it(control: Path, port: int) -> None:
    bed = make_bed(control, port, ladder=True, ready="none")
    bed.machine.sas = []

    async def scenario(bed: object) -> None:
        address = (control.parent / "ladder.url").read_text().strip()
        path = address.removeprefix(f"http://127.0.0.1:{port}")
        status, text = await get(port, path)
        assert status == 200
        assert "<title>ikepy" in text
        assert (await get(port, "/healthz"))[0] == 200
        assert (await get(port, "/wrong/"))[0] == 404
        assert (await get(port, path, "rebound.example"))[0] == 421
        assert (await get(port, "/healthz", "monitored.example"))[0] == 200
        assert path not in str(bed)

    run(bed, scenario)
    assert not (control.parent / "ladder.url").exists()
