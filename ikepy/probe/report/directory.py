"""The directory of a run: a file a case, its packets and keys, and the reports of all of it.

cases/ID.json is there as soon as the case is over, so that a run that was stopped goes on behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ikepy.dissect import pcapng
from ikepy.dissect.render import as_html
from ikepy.dissect.render.as_json import ladder_value
from ikepy.probe.report.as_html import page
from ikepy.probe.report.as_junit import junit
from ikepy.probe.report.as_text import counts, details, line, summary
from ikepy.probe.report.onlooker import Onlooker
from ikepy.probe.report.record import Record, ladder_of, record_of
from ikepy.probe.runner import Result
from ikepy.probe.target import Target
from ikepy.probe.verdict import Verdict

ABOUT = "run.json"
_SETTLED = frozenset({Verdict.PASS.value, Verdict.FAIL.value})


class Taken(Exception):  # noqa: N818  the text is for the user
    """The directory holds another run."""


class Directory:
    """Made with mode 0700: what is in it has keys. OSError where it can't be written."""

    def __init__(self, path: Path, about: dict[str, str], *, resume: bool) -> None:
        """`Taken` if there is a run already, unless it is one of the same peer that is to be resumed, or
        something else, whose mode stays as it is."""
        self.path = path
        self._about = about
        self._cases = path / "cases"
        former = path / ABOUT
        if path.is_dir() and not former.exists() and any(path.iterdir()):
            raise Taken(f"{path} holds something else: name a directory that is empty, or not there")
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
        self._cases.mkdir(exist_ok=True, mode=0o700)
        if former.exists() and not resume:
            raise Taken(f"{path} holds a run: go on with it by --resume, or name another directory")
        if former.exists() and _about(former) != about:
            raise Taken(f"{path} holds a run of another peer or with other options: name another directory")
        former.write_text(json.dumps(about, indent=1), "utf-8")

    def done(self) -> dict[str, Record]:
        """The cases that passed or failed, by their IDs. What was inconclusive is to be seen again, and what
        was not applicable may be it by now; files that can't be read are as if they weren't there."""
        found = {}
        for file in sorted(self._cases.glob("*.json")):
            try:
                record = Record.from_json(file.read_text("utf-8"))
            except (OSError, ValueError):
                continue
            if record.verdict in _SETTLED:
                found[record.id] = record
        return found

    def add(self, result: Result, target: Target) -> Record:
        """Write a case's files."""
        ladder = ladder_of(result, target)
        record = record_of(result, ladder)
        base = self._cases / record.id
        onlooker = Onlooker(target, result.sas)
        with Path(f"{base}.pcapng").open("wb") as file:
            pcapng.write(file, onlooker.seen(result.trace.datagrams), onlooker.keys)
        for name, text in (
            ("ikev2_decryption_table", onlooker.ike_table()),
            ("esp_sa", onlooker.esp_table()),
            ("html", as_html.render(ladder, f"{record.id} {record.title}")),
            ("json", record.as_json(ladder_value(ladder))),
        ):
            Path(f"{base}.{name}").write_text(text, "utf-8")
        return record

    def finish(self, records: Sequence[Record]) -> None:
        """Write the reports of all cases."""
        self._write("report.txt", as_lines(records))
        self._write("report.html", page(records, self._about))
        self._write("junit.xml", junit(records, self._about.get("host", "")))
        self._write("report.json", as_json(records, self._about))

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, "utf-8")


def _about(file: Path) -> object:
    """What a run's file says. `Taken` if that can't be read: the disk may have been full."""
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError:
        raise Taken(f"{file} is damaged: name another directory") from None


def as_json(records: Sequence[Record], about: dict[str, str]) -> str:
    """The run as JSON."""
    told = {"about": about, "counts": counts(records), "cases": [asdict(one) for one in records]}
    return json.dumps(told, indent=1) + "\n"


def as_lines(records: Iterable[Record]) -> str:
    """The run as plain text."""
    found = list(records)
    rows = [row.plain for one in found for row in (line(one), *details(one))]
    return "\n".join([*rows, "", summary(found), ""])
