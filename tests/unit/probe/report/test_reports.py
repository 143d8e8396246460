"""Reports of a run: text, JSON, JUnit XML, a page, and each case's packets and keys."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ikepy.probe.registry import Case
from ikepy.probe.report import as_text
from ikepy.probe.report.as_html import page
from ikepy.probe.report.as_junit import junit
from ikepy.probe.report.directory import Directory, Taken, as_json
from ikepy.probe.report.record import Record, ladder_of, record_of
from ikepy.probe.runner import Result
from ikepy.probe.target import Target
from ikepy.probe.verdict import Judgement, Verdict
from tests.unit.probe.two_peers import two_peers


def a_record(verdict: Verdict, id: str = "T.1", reason: str = "") -> Record:
    judgement = Judgement("<b>one</b>", "another\x00", passed=False)
    about = ("Title & more", "RFC 7296 1", "MUST", "responder", "BASIC")
    return Record(id, *about, verdict.value, reason, 0.5, (judgement,))


RECORDS = [
    a_record(Verdict.PASS),
    a_record(Verdict.FAIL, "T.2", "expected <b>one</b>\x00"),
    a_record(Verdict.NOT_APPLICABLE, "T.3", "lacks it"),
    a_record(Verdict.INCONCLUSIVE, "T.4", "unclear"),
]


async def a_ping() -> tuple[Result, Target]:
    """A case's result, with a tunnel that carried an echo request."""
    async with two_peers() as (initiator, responder):
        accepted = asyncio.create_task(responder.accept_all())
        sa = await initiator.establish()
        await accepted
        await initiator.ping(sa.child)

        async def function(_: object) -> None:
            """Nothing: it is over."""

        one = Case("T.9", "Ping", "RFC 7296 1", "MUST", "responder", "test", function)
        return Result(one, Verdict.PASS, "", 0.1, initiator.trace, initiator.sas), initiator.target


def test_a_record_is_read_as_it_was_written() -> None:
    for record in RECORDS:
        assert Record.from_json(record.as_json()) == record
    with pytest.raises(ValueError, match="no result"):
        Record.from_json('{"id": "T.1"}')


def test_text() -> None:
    assert as_text.summary(RECORDS) == "1 pass, 1 fail, 1 not applicable, 1 inconclusive in 2 s"
    assert as_text.line(RECORDS[1]).plain == "fail           T.2                  Title & more"
    assert list(as_text.details(RECORDS[0])) == []


def test_junit() -> None:
    root = ET.fromstring(junit(RECORDS, "192.0.2.2"))
    (suite,) = root
    counts = (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped"))
    assert counts == ("4", "1", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "expected <b>one</b>?"


def test_what_the_peer_sent_is_text_in_the_page() -> None:
    made = page(RECORDS, {"host": "<script>"})
    assert "<b>" not in made
    assert "<script" not in made
    assert "&lt;b&gt;one&lt;/b&gt;" in made
    assert '<details id="T.2" open>' in made


def test_json() -> None:
    made = json.loads(as_json(RECORDS, {"host": "192.0.2.2"}))
    assert made["counts"] == {"pass": 1, "fail": 1, "not applicable": 1, "inconclusive": 1}
    assert [one["id"] for one in made["cases"]] == ["T.1", "T.2", "T.3", "T.4"]


def test_the_ladder_is_opened() -> None:
    result, target = asyncio.run(a_ping())
    record = record_of(result, ladder_of(result, target))
    assert "IKE_AUTH" in record.ladder
    assert "AUTH of the initiator is right" in record.ladder
    assert "AUTH of the responder is right" in record.ladder
    assert "ICMP echo reply" in record.ladder


def test_a_directory_holds_one_run_and_is_resumed(tmp_path: Path) -> None:
    result, target = asyncio.run(a_ping())
    about = {"host": str(target.host)}
    directory = Directory(tmp_path / "run", about, resume=False)
    record = directory.add(result, target)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    (tmp_path / "run/cases/T.8.json").write_text("{")
    assert Directory(tmp_path / "run", about, resume=True).done() == {"T.9": record}
    with pytest.raises(Taken, match="--resume"):
        Directory(tmp_path / "run", about, resume=False)
    with pytest.raises(Taken, match="another peer"):
        Directory(tmp_path / "run", {"host": "192.0.2.9"}, resume=True)
    directory.finish([record])
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"run.json", "report.txt", "report.html", "report.json", "junit.xml", "cases"}


def test_only_what_passed_or_failed_is_over(tmp_path: Path) -> None:
    """With --trigger or --cert added, a case applies that did not."""
    result, target = asyncio.run(a_ping())
    directory = Directory(tmp_path, {}, resume=False)
    for number, verdict in enumerate(Verdict):
        case = replace(result.case, id=f"T.{number}")
        directory.add(replace(result, case=case, verdict=verdict), target)
    found = Directory(tmp_path, {}, resume=True).done()
    assert {one.verdict for one in found.values()} == {"pass", "fail"}


def test_a_directory_with_something_else_stays_as_it_is(tmp_path: Path) -> None:
    """One that everybody uses, as /tmp, is not closed to everybody."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    (home / "letter").touch()
    with pytest.raises(Taken, match="holds something else: name a directory that is empty"):
        Directory(home, {}, resume=False)
    assert home.stat().st_mode & 0o777 == 0o755
    assert [one.name for one in home.iterdir()] == ["letter"]


def test_a_damaged_run_is_told(tmp_path: Path) -> None:
    Directory(tmp_path / "run", {}, resume=False)
    (tmp_path / "run/run.json").write_text("")
    with pytest.raises(Taken, match=r"run\.json is damaged"):
        Directory(tmp_path / "run", {}, resume=True)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs Debian's tshark")
def test_tshark_opens_the_packets_by_the_keys(tmp_path: Path) -> None:
    result, target = asyncio.run(a_ping())
    ports = {target.port: "isakmp", target.local_port: "isakmp", target.nat_port: "udpencap"}
    Directory(tmp_path / "run", {}, resume=False).add(result, target)
    cases = tmp_path / "run/cases"
    home = tmp_path / "home/.config/wireshark"
    home.mkdir(parents=True)
    for table in ("ikev2_decryption_table", "esp_sa"):
        (home / table).write_text((cases / f"T.9.{table}").read_text())
    decode = [f"-dudp.port=={port},{what}" for port, what in ports.items()]
    checked = ("esp.enable_encryption_decode", "udp.check_checksum", "ip.check_checksum")
    options = [f"-o{name}:TRUE" for name in checked]
    shown = subprocess.run(
        ["tshark", "-r", str(cases / "T.9.pcapng"), "-V", *decode, *options],
        env={"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Checksum: 0x" in shown
    assert "incorrect" not in shown
    assert "Bad: True" not in shown
    assert "i.probe.test" in shown  # inside SK
    assert "Echo (ping) request" in shown
    assert "Echo (ping) reply" in shown


def test_refused_credentials_are_told() -> None:
    failed = a_record(Verdict.FAIL, "SGW.R.1", "came IKE_AUTH response 1 SK [N(AUTHENTICATION_FAILED)]")
    other = a_record(Verdict.FAIL, "SGW.R.2", "came nothing")
    passed = a_record(Verdict.PASS, "SGW.R.3")
    assert "in 1 of 2 cases" in as_text.hint([failed, other, passed])
    assert "--psk-file" in as_text.hint([failed])
    assert as_text.hint([other, passed]) == as_text.hint([failed, *[other] * 4]) == ""
