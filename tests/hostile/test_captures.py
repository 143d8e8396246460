"""Captures of strangers: what `ikepy decode` and pages make of them is bounded in memory and time."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path

import pytest
from click.testing import CliRunner

from ikepy.cli import main
from ikepy.crypto.captured import ENCRYPTION
from ikepy.dissect import keyfile, opening, pcapng
from ikepy.dissect import session as sessions
from ikepy.dissect.capture import Packet
from ikepy.dissect.datagrams import Datagram, Datagrams
from ikepy.dissect.decode import decode
from ikepy.dissect.ike import SkSizes, dissect_ike
from ikepy.dissect.key_sources import take
from ikepy.dissect.keys import IkeKeys, Keys
from ikepy.dissect.message import Message
from ikepy.dissect.session import Session
from ikepy.dissect.tree import Layer
from ikepy.errors import ConfigError
from ikepy.sa.api.path import Endpoint

A, B = (Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("192.0.2.2"), 500))
RAW = 101  # LINKTYPE


def message(spi_i: bytes, payload: int, body: bytes, exchange: int = 34) -> bytes:
    """An IKE message with one payload."""
    rest = bytes(2) + (4 + len(body)).to_bytes(2, "big") + body
    head = spi_i + bytes(8) + bytes([payload, 0x20, exchange, 0x08]) + bytes(4)
    return head + (28 + len(rest)).to_bytes(4, "big") + rest


def many_fields(number: int) -> bytes:
    """A Delete payload of many SPIs: a field for each four octets."""
    return message(number.to_bytes(8, "big"), 42, struct.pack("!BBH", 3, 4, 1000) + bytes(4000))


def fragment(number: int, total: int) -> bytes:
    return message(b"fragment", 53, struct.pack("!HH", number, total) + bytes(40), exchange=35)


def captured(*payloads: bytes) -> bytes:
    stream = BytesIO()
    pcapng.write(stream, [Datagram(float(number), A, B, one) for number, one in enumerate(payloads)])
    return stream.getvalue()


def test_memory_for_fields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.dissect.decode.MAX_FIELDS", 10_000)
    data = captured(*map(many_fields, range(1, 51)))
    decoded = decode(BytesIO(data), Keys())
    assert 0 < sum(one.fields for one in decoded.ladder) <= 10_000
    assert len(decoded.ladder) + decoded.left_out == 50


def test_what_is_not_shown_costs_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.dissect.decode.MAX_FIELDS", 10_000)
    seen: list[object] = []
    feed = Session.feed

    def counted(session: Session, time_s: float, a: Endpoint, b: Endpoint, data: bytes) -> Message | None:
        seen.append(data)
        return feed(session, time_s, a, b, data)

    monkeypatch.setattr(Session, "feed", counted)
    decoded = decode(BytesIO(captured(*map(many_fields, range(1, 51)))), Keys())
    assert len(seen) == len(decoded.ladder) + 1 < 20


def test_the_memory_of_an_onlooker_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_FIELDS", 5_000)
    session = Session()
    for number in range(1, 51):
        session.feed(0.0, A, B, many_fields(number))
    assert 1 <= session.kept < 5


def test_a_fragment_is_dissected_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all former ones with each that comes."""
    calls: list[str] = []

    def counted(octets: bytes, sizes: SkSizes | None = None, name: str = "") -> Layer:
        calls.append(name)
        return dissect_ike(octets, sizes, name)

    monkeypatch.setattr(opening, "dissect_ike", counted)
    session = Session()
    for number in range(1, 101):
        session.feed(0.0, A, B, fragment(number, 200))
    assert len(calls) <= 100


def test_keys_open_no_strangers_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many messages wait for keys: those of others' SAs are not dissected again for ours."""
    session = Session()
    for number in range(1, 101):
        session.feed(0.0, A, B, message(number.to_bytes(8, "big"), 46, bytes(60), exchange=35))
    calls: list[object] = []
    monkeypatch.setattr(opening.Opening, "of", lambda *arguments: calls.append(arguments))
    keys = IkeKeys(b"spi of i", b"spi of r", ENCRYPTION["AES_GCM_16"], bytes(20), bytes(20))
    assert session.add_ike_keys(keys) == []
    assert calls == []


def ip_fragment(offset: int, size: int = 8) -> Packet:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 7, 0x2000 | offset // 8, 64, 17, 0)
    return Packet(0.0, RAW, head + A.address.packed + B.address.packed + bytes(size))


def test_fragments_of_ip_are_bounded() -> None:
    """In number and in octets, and nothing is joined before all can be there."""
    found = Datagrams(ip_fragment(offset) for offset in range(8, 65_000, 8))
    assert list(found) == []
    assert found.kept <= 1400 * 8
    found = Datagrams(ip_fragment(offset, 32_000) for offset in range(8, 30_000, 8))
    assert list(found) == []
    assert 32_000 <= found.kept <= 2 * 65535


def test_all_keys_of_a_large_file_are_read(tmp_path: Path) -> None:
    """A key log may have more lines than anybody reads; the newest are the last."""
    file = tmp_path / "ikepy_keys"
    with file.open("w") as stream:
        stream.writelines(f"# {number}\n" for number in range(100_001))
        stream.write(keyfile.secret_line(b"public i", b"public r", b"the newest"))
    keys = Keys()
    take(file, keys)
    assert list(keys.secrets.values()) == [b"the newest"]


@pytest.mark.parametrize(("line", "told"), [("{}", 20), ("1,2,3", 2)], ids=["ours", "no table at all"])
def test_few_of_many_mistakes_are_told(tmp_path: Path, line: str, told: int) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{line}\n" * 1000)
    with pytest.raises(ConfigError) as caught:
        take(file, Keys())
    assert len(str(caught.value).splitlines()) == told


def test_few_of_many_mistakes_in_a_table_are_told(tmp_path: Path) -> None:
    file = tmp_path / "ikev2_decryption_table"
    right = ",".join(["00" * 8] * 2 + ["00" * 24] * 2 + ['"3DES [RFC2451]"', "", "", '"NONE [RFC4306]"'])
    file.write_text(f"{right}\n" + "1,2,3\n" * 1000)
    with pytest.raises(ConfigError) as caught:
        take(file, Keys())
    assert len(str(caught.value).splitlines()) == 20


def test_a_damaged_gzip_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng.gz"
    file.write_bytes(b"\x1f\x8b\x08\x00" + bytes(40))
    result = CliRunner().invoke(main, ["decode", str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"ikepy: {file}: ")


def test_the_name_of_a_file_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "\x1b]0;owned\x07\u202e.pcap"
    file.write_bytes(b"this is no capture")
    result = CliRunner().invoke(main, ["decode", str(file)])
    assert result.stderr.startswith(f"ikepy: {tmp_path}/?]0;owned??.pcap: neither pcap nor pcapng")


def test_pipes_are_read_once(tmp_path: Path) -> None:
    """As the shell's <(...) gives them; and standard input may be packed, too."""
    data = captured(many_fields(1))
    command = [sys.executable, "-m", "ikepy", "decode", "--detail", "arrows"]
    packed = subprocess.run([*command, "-"], input=gzip.compress(data), capture_output=True, timeout=60)
    assert b"IKE_SA_INIT request 0 [ D ]" in packed.stdout
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = subprocess.Popen([*command, str(fifo)], stdout=subprocess.PIPE)
    fifo.write_bytes(data)
    assert b"IKE_SA_INIT request 0 [ D ]" in reading.communicate(timeout=60)[0]


def test_names_and_terminals_of_any_encoding(tmp_path: Path) -> None:
    file = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.pcapng")
    Path(file).write_bytes(captured(many_fields(1)))
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    for words in (["--format", "html"], []):
        command = [sys.executable, "-m", "ikepy", "decode", file, *words]
        made = subprocess.run(command, capture_output=True, env=environment, timeout=60)
        assert (made.returncode, made.stderr) == (0, b"")
        assert b"IKE_SA_INIT request 0 [ D ]" in made.stdout
    out = tmp_path / "page.html"
    command = [sys.executable, "-m", "ikepy", "decode", file, "-f", "html", "-o", str(out)]
    assert subprocess.run(command, capture_output=True, timeout=60).stderr == b""
    assert "<title>??.pcapng</title>" in out.read_text("utf-8")
