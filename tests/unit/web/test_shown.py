"""A negotiation of two machines as a page shows it: messages, keys that a log tells late, exports."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret
from ikepy.dissect import keyfile, told
from ikepy.dissect.datagrams import Datagram
from ikepy.dissect.decode import decode
from ikepy.dissect.keys import Keys
from ikepy.sa.api.commands import Initiate
from ikepy.web import exports
from ikepy.web.crossings import View
from ikepy.web.onlooker import Onlooker
from ikepy.web.rungs import REMEMBERED, Rung, Rungs, endpoint
from ikepy.web.window import NotThereError
from tests.exchange.network import Network, assert_joined
from tests.unit.dissect.onlooker import ENDS


class Shown:
    """A page's view of two machines; what `log` is told is written to the key log by `write`."""

    def __init__(self, directory: Path, psks: list[bytes] | None = None) -> None:
        self.log = directory / "ikepy_keys"
        self.lines: list[str] = []
        self.changed: list[int] = []
        self.onlooker = Onlooker([self.log], psks or [])
        self.rungs = Rungs(self.onlooker.feed, self._tell)
        self.net = Network(key_logs=(self, self))
        self.net.script = self._see

    def shared_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> None:
        self.lines.append(keyfile.secret_line(public_i, public_r, secret.expose()))

    def ike_keys(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> None:
        self.lines.append(keyfile.ike_line(told.of_schedule(spi_i, spi_r, schedule)))

    def set_up(self) -> None:
        self.net.command("a", Initiate("ab", "net"))
        self.net.run(10)
        assert_joined(self.net)

    def write(self, end: str = "\n") -> None:
        """All that was told so far, without the last line's end if so wished."""
        self.log.write_text("\n".join(self.lines) + end)

    def _tell(self, rung: Rung) -> None:
        self.changed.append(rung.message.number)

    def _see(self, line: str, nth: int, data: bytes) -> list[float]:
        source, destination = str(ENDS[line[0]]), str(ENDS[line[5]])
        view = View(line[0], self.net.now, source, destination, data)
        self.rungs.sent(view)
        self.rungs.arrived(replace(view, node=line[5], time=view.time + 0.01))
        return [0.01]


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    found = Shown(tmp_path)
    yield found
    found.onlooker.close()


def test_messages_in_their_order(shown: Shown) -> None:
    shown.set_up()
    told = shown.rungs.whole()
    assert [(one["exchange"], one["sender"], one["is_response"]) for one in told][:4] == [
        ("IKE_SA_INIT", "a", False),
        ("IKE_SA_INIT", "b", True),
        ("IKE_AUTH", "a", False),
        ("IKE_AUTH", "b", True),
    ]
    assert not any(one["decrypted"] for one in told)
    json.dumps(told)


def test_keys_that_come_later_open_what_is_there(shown: Shown) -> None:
    shown.set_up()
    assert shown.onlooker.learn() == []  # there is no log yet
    shown.write(end="")
    shown.changed.clear()
    # the last line is not whole: its keys are known by the others
    shown.rungs.learned(shown.onlooker.learn())
    shown.write()
    shown.rungs.learned(shown.onlooker.learn())
    told = shown.rungs.whole()
    assert [one["decrypted"] for one in told[:4]] == [False, False, True, True]
    assert set(shown.changed) >= {2, 3}
    message = shown.rungs.message("2")
    layers = message["layers"]
    assert isinstance(layers, list)
    assert layers[-1]["name"] == "Decrypted payloads"


def test_keys_are_derived_step_by_step(shown: Shown) -> None:
    shown.set_up()
    shown.write()
    shown.onlooker.learn()
    ((name, count), *_) = shown.onlooker.sas()
    value = shown.onlooker.steps(name)
    steps = value["steps"]
    assert isinstance(steps, list)
    assert len(steps) == count
    assert steps[0]["name"] == "SKEYSEED"
    assert {"SK_d", "SK_ei", "SK_pr"} <= {one["name"] for one in steps}
    with pytest.raises(NotThereError):
        shown.onlooker.steps("00_00")


@pytest.mark.parametrize("number", ["", "-1", "99", "x", "1" * 5000, "²"])
def test_a_message_that_is_not_there(shown: Shown, number: str) -> None:
    shown.set_up()
    with pytest.raises(NotThereError):
        shown.rungs.message(number)


def test_a_hostile_log_is_no_fault(shown: Shown) -> None:
    shown.set_up()
    shown.log.write_bytes(b"\xff\xfe\n{}\n[]\nnull\n" + b"[" * 5000 + b"\n")
    assert shown.onlooker.learn() == []


def test_no_more_is_remembered_than_that() -> None:
    onlooker = Onlooker()
    rungs = Rungs(onlooker.feed, lambda rung: None)
    for number in range(1, REMEMBERED + 20):
        data = number.to_bytes(8, "big") + bytes(8) + bytes([0, 0x20, 34, 8]) + bytes(4) + b"\0\0\0\x1c"
        rungs.arrived(View("b", number / 10, "192.0.2.1[500]", "192.0.2.2[500]", data))
    assert len(rungs.whole()) == REMEMBERED


def test_a_nat_changes_addresses_in_one_view_alone(shown: Shown) -> None:
    shown.set_up()
    view = View("b", 1e9, "192.0.2.2[500]", "203.0.113.9[1024]", bytes(28))
    shown.rungs.sent(view)
    shown.rungs.arrived(replace(view, node="a", destination="10.0.0.10[500]"))
    *_, last = shown.rungs.ladder("a")
    assert last.destination == endpoint("10.0.0.10[500]")
    *_, last = shown.rungs.ladder("b")
    assert last.destination == endpoint("203.0.113.9[1024]")


@pytest.mark.parametrize("one", exports.OF_LADDER, ids=lambda one: one["name"])
def test_the_ladder_is_kept(shown: Shown, one: dict[str, str]) -> None:
    shown.set_up()
    text = exports.of_ladder(one["name"], shown.rungs.ladder()).octets.decode()
    assert "IKE_SA_INIT request 0" in text
    with pytest.raises(NotThereError):
        exports.of_ladder("../secrets", shown.rungs.ladder())


def test_captures_with_their_keys(shown: Shown) -> None:
    shown.set_up()
    shown.write()
    shown.onlooker.learn()
    datagrams = [
        Datagram(message.time_s, message.source, message.destination, message.layers[0].octets)
        for message in shown.rungs.ladder()
    ]
    keys: Keys = shown.onlooker.keys
    pcapng = exports.capture("a.pcapng", datagrams, keys)
    opened = decode(io.BytesIO(pcapng.octets), Keys())
    assert any(message.opened for message in opened.ladder)
    with zipfile.ZipFile(io.BytesIO(exports.wireshark({"a.pcapng": datagrams}, keys).octets)) as archive:
        assert {"a.pcapng", "ikev2_decryption_table", "esp_sa", "README.txt"} == set(archive.namelist())
        assert archive.read("a.pcapng") == pcapng.octets
        assert len(archive.read("ikev2_decryption_table").splitlines()) == len(keys.ike)
