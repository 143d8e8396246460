"""`ikepy decode`: forms of output, sources of keys, and what it says of files that are none."""

from __future__ import annotations

import gzip
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from ikepy.cli import main
from ikepy.dissect import keyfile, keytables, pcapng
from ikepy.dissect.datagrams import Datagram
from ikepy.dissect.keys import Keys
from tests.exchange.network import Options
from tests.unit.dissect.onlooker import Onlooker
from tests.unit.dissect.test_session import set_up

EVIL = "<b>gwa</b>@example.org"


def decode(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["decode", *map(str, words)])


@pytest.fixture(scope="module")
def seen() -> Onlooker:
    """Both ends call themselves by what would be markup in a page."""
    return set_up(Onlooker(Options(local_id=EVIL, remote_id=EVIL)))


@pytest.fixture(scope="module")
def bed(seen: Onlooker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture, with keys beside it."""
    directory = tmp_path_factory.mktemp("decode")
    given = [Datagram(one.time_s, one.source, one.destination, one.layers[0].octets) for one in seen.ladder]
    with (directory / "a.pcapng").open("wb") as stream:
        pcapng.write(stream, given)
    with (directory / "with-keys.pcapng").open("wb") as stream:
        pcapng.write(stream, given, seen.session.keys)
    (directory / "a.pcapng.gz").write_bytes(gzip.compress((directory / "a.pcapng").read_bytes()))
    keys = directory / "keys"
    keys.mkdir()
    (told,) = seen.told[:1]
    (keys / "ikev2_decryption_table").write_text(f"{keytables.ike_line(told)}\n")
    (keys / "ikepy_keys").write_text(f"{keyfile.ike_line(told)}\n")
    (directory / "cases").mkdir()
    (directory / "cases" / "OWN.1.ikev2_decryption_table").write_text(f"{keytables.ike_line(told)}\n")
    (directory / "psk").write_text("correct horse\n")
    (directory / "wrong-psk").write_text("0x1234")
    return directory


def test_without_keys(bed: Path) -> None:
    result = decode(bed / "a.pcapng", "--detail", "arrows")
    assert result.exit_code == 0
    assert [line[20:] for line in result.stdout.splitlines()][2].endswith("IKE_AUTH request 1 [ SK ]")


@pytest.mark.parametrize("name", ["a.pcapng", "a.pcapng.gz"])
@pytest.mark.parametrize("source", ["keys", "cases", "keys/ikepy_keys", "keys/ikev2_decryption_table"])
def test_with_keys(bed: Path, name: str, source: str) -> None:
    result = decode(bed / name, "--keys", bed / source)
    assert result.exit_code == 0 and result.stderr == ""
    assert 'Identity: "<b>gwa</b>@example.org"' in result.stdout
    assert "Algorithm: AES_GCM_16 (20)" in result.stdout


def test_keys_in_the_capture(bed: Path) -> None:
    result = decode(bed / "with-keys.pcapng", "--derive", "--psk-file", bed / "psk")
    assert "IKE_AUTH request 1 [ IDi" in result.stdout
    assert "SKEYSEED = prf(Ni | Nr, g^ir)" in result.stdout
    assert re.search(r"CHILD_SA \w{8} / \w{8}: KEYMAT = prf\+\(SK_d, Ni \| Nr\)", result.stdout)


def test_keys_are_written_for_their_owner_alone(bed: Path, tmp_path: Path) -> None:
    out = tmp_path / "keys.txt"
    assert decode(bed / "with-keys.pcapng", "--derive", "-o", out).exit_code == 0
    assert "SKEYSEED = prf(Ni | Nr, g^ir)" in out.read_text("utf-8")
    assert out.stat().st_mode & 0o777 == 0o600


def test_keys_get_into_no_file_that_others_read(bed: Path, tmp_path: Path) -> None:
    out, link = tmp_path / "keys.txt", tmp_path / "link"
    link.symlink_to(out.name)
    out.write_text("the former one")
    out.chmod(0o644)
    with out.open() as others:
        assert decode(bed / "with-keys.pcapng", "--derive", "-o", link).exit_code == 0
        assert others.read() == "the former one"
    assert "SKEYSEED = prf(Ni | Nr, g^ir)" in out.read_text("utf-8")
    assert out.stat().st_mode & 0o777 == 0o600
    assert {one.name for one in tmp_path.iterdir()} == {"keys.txt", "link"}


def test_keys_may_go_into_a_pipe(bed: Path) -> None:
    code = "import sys; sys.argv[0] = 'ikepy'; from ikepy.cli import main; main()"
    words = ("decode", bed / "with-keys.pcapng", "--derive", "-o", "/dev/stdout")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0 and "SKEYSEED = prf(Ni | Nr, g^ir)" in done.stdout


def test_auth(bed: Path) -> None:
    right = decode(bed / "a.pcapng", "-k", bed / "keys", "--psk-file", bed / "psk", "--detail", "arrows")
    assert right.stdout.count("✓ AUTH of the") == 2
    wrong = decode(bed / "a.pcapng", "-k", bed / "keys", "--psk-file", bed / "wrong-psk")
    assert wrong.stdout.count("! AUTH of the") == 2
    table = bed / "keys/ikev2_decryption_table"
    unknown = decode(bed / "a.pcapng", "-k", table, "--psk-file", bed / "psk")
    assert unknown.stdout.count("can't be verified: SK_p is not among the keys") == 2


def test_json(bed: Path) -> None:
    result = decode(bed / "with-keys.pcapng", "--json", "--derive", "--psk-file", bed / "psk")
    value = json.loads(result.stdout)
    first, _, auth, _ = value["messages"]
    assert first["exchange"] == "IKE_SA_INIT" and first["is_response"] is False
    assert auth["findings"] == ["AUTH of the initiator is right: by the preshared key that was given"]
    layer = auth["layers"][1]
    identity = layer["node"]["children"][0]
    octets = bytes.fromhex(layer["octets"])[identity["start"] : identity["end"]]
    assert octets.endswith(b"<b>gwa</b>@example.org")
    assert [step["name"] for step in value["derivation"][:2]] == ["SKEYSEED", "T1"]


def test_html_holds_no_markup_of_a_stranger(bed: Path) -> None:
    result = decode(bed / "with-keys.pcapng", "-f", "html")
    page = result.stdout
    assert "<b>" not in page and "&lt;b&gt;gwa&lt;/b&gt;@example.org" in page
    assert "<script" not in page and "http-equiv" in page
    assert not re.search(r'(src|href)="', page)
    assert page.count('<details class="message"') == 4


def test_svg_and_mermaid(bed: Path, tmp_path: Path) -> None:
    picture = decode(bed / "with-keys.pcapng", "-f", "svg").stdout
    tree = ElementTree.fromstring(picture)
    texts = [one.text or "" for one in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"192.0.2.1", "192.0.2.2"} <= set(texts)
    assert any(text.startswith("IKE_AUTH request 1 [ IDi") for text in texts)
    out = tmp_path / "ladder.mmd"
    assert decode(bed / "with-keys.pcapng", "-f", "mermaid", "-o", out).stdout == ""
    lines = out.read_text().splitlines()
    assert lines[0] == "sequenceDiagram"
    assert lines[1:3] == ["    participant P0 as 192.0.2.1", "    participant P1 as 192.0.2.2"]
    assert lines[3].startswith("    P0->>P1: IKE_SA_INIT request 0 [ SA KE No")


def test_what_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("this is no capture")
    result = decode(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "neither pcap nor pcapng; a file of tcpdump or Wireshark is expected" in result.stderr
    assert "No such file" in decode(tmp_path / "none").stderr
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"x" * 1000)[:-20])
    assert decode(tmp_path / "broken.gz").exit_code == 1


def test_what_was_compressed_is_shown_up_to_where_it_is_cut(bed: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes((bed / "a.pcapng.gz").read_bytes()[:-30])
    result = decode(tmp_path / "cut.gz", "--detail", "arrows")
    assert result.exit_code == 0 and "IKE_SA_INIT request 0" in result.stdout
    assert "is cut short, or damaged: shown is what comes before" in result.stderr


def test_a_link_that_is_not_read_is_told(tmp_path: Path) -> None:
    head = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 239)
    (tmp_path / "nflog").write_bytes(head + struct.pack("<IIII", 0, 0, 4, 4) + bytes(4))
    result = decode(tmp_path / "nflog")
    assert "1 packet is not read, of link type 239; capture at an interface of Ethernet" in result.stderr
    assert "no IKE and no ESP is in it of what is read" in result.stderr


def test_keys_with_a_name_that_is_too_long(bed: Path) -> None:
    result = decode(bed / "a.pcapng", "--keys", "k" * 300)
    assert result.exit_code == 1 and "File name too long" in result.stderr


def test_keys_that_are_none(bed: Path, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("1,2,3\n")
    result = decode(bed / "a.pcapng", "--keys", tmp_path / "table")
    assert result.exit_code == 1 and "line 1: 3 fields, 8 expected" in result.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (
        "has no tables of keys; allowed: ikev2_decryption_table"
        in decode(bed / "a.pcapng", "--keys", empty).stderr
    )
    assert "No such file" in decode(bed / "a.pcapng", "--psk-file", tmp_path / "none").stderr


def test_nothing_in_it(tmp_path: Path) -> None:
    with (tmp_path / "empty.pcapng").open("wb") as stream:
        pcapng.write(stream, [], Keys())
    result = decode(tmp_path / "empty.pcapng")
    assert result.exit_code == 0 and "no IKE and no ESP is in it" in result.stderr


def test_too_many_are_counted(bed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.dissect.decode.MAX_MESSAGES", 3)
    result = decode(bed / "a.pcapng", "--detail", "arrows")
    assert len(result.stdout.splitlines()) == 3
    assert "1 more datagrams are not shown" in result.stderr
