"""The reports of docs/conformance: verdicts for the tests, a page an implementation for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ikepy.probe.registry import Case
from ikepy.probe.sgw.suites import MAPPING
from ikepy.probe.verdict import Verdict
from tests.conformance.explanations import DOCS, explanation
from tests.conformance.runs import Done

NAMES = {"ikepy": "ikepy", "strongswan": "strongSwan 5.9.8", "libreswan": "libreswan 4.10"}
Verdicts = dict[str, dict[str, list[str]]]  # by run and verdict: IDs
_SETS = {
    "SGW.R.*": "As a responder: SGW.R",
    "SGW.I.*": "As an initiator: SGW.I",
    "IKEPY.*": "Extensions and hostile inputs: IKEPY",
    "IKEPY.I.*": "An initiator under hostile answers: IKEPY.I",
}
_SHORT = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "**fail**",
    Verdict.NOT_APPLICABLE: "n/a",
    Verdict.INCONCLUSIVE: "inconclusive",
}


def verdicts(done: Iterable[Done]) -> Verdicts:
    """What is compared: the IDs of each verdict by run."""
    return {
        one.run.name: {
            verdict.value: [result.case.id for result in one.results if result.verdict is verdict]
            for verdict in Verdict
        }
        for one in done
    }


def steady(implementation: str, of_run: dict[str, list[str]]) -> dict[str, list[str]]:
    """The verdicts of one run without the cases that sometimes pass."""
    return {
        verdict: [id for id in ids if not ((why := explanation(implementation, id)) and why.sometimes)]
        for verdict, ids in of_run.items()
    }


def committed(implementation: str) -> Verdicts:
    """Those in docs/conformance."""
    found: Verdicts = json.loads(verdicts_file(implementation).read_text())
    return found


def verdicts_file(implementation: str) -> Path:
    return DOCS / f"{implementation}.json"


def write(implementation: str, done: Sequence[Done]) -> None:
    """The verdicts and the page of one implementation."""
    text = json.dumps(verdicts(done), indent=1)
    verdicts_file(implementation).write_text(f"{text}\n")
    (DOCS / f"{implementation}.md").write_text(page(implementation, done))


def page(implementation: str, done: Sequence[Done]) -> str:
    """Markdown: counts, explanations, and a table a set of cases."""
    lines = [
        f"# {NAMES[implementation]} under the conformance cases",
        "",
        "Written by `python -m tests.conformance`: [what is tested, and how](README.md).",
        "",
        *_counts(done),
        "",
        "## What fails, and why",
        "",
        *_reasons(implementation, done),
    ]
    for pattern, heading in _SETS.items():
        of_set = [one for one in done if one.run.pattern == pattern]
        if of_set:
            lines += ["", f"## {heading}", "", *_table(of_set)]
    return "\n".join(lines) + "\n"


def _counts(done: Sequence[Done]) -> list[str]:
    rows = [
        "| cases | over | pass | fail | not applicable | inconclusive |",
        "|---|---|---|---|---|---|",
    ]
    for one in done:
        counts = Counter(result.verdict for result in one.results)
        cells = " | ".join(str(counts[verdict]) for verdict in Verdict)
        rows.append(f"| {one.run.pattern} | {one.run.version} | {cells} |")
    return rows


def _reasons(implementation: str, done: Sequence[Done]) -> list[str]:
    failed: dict[str, str] = {}
    for one in done:
        for result in one.results:
            if result.verdict is Verdict.FAIL:
                failed.setdefault(result.case.id, result.reason)
    if not failed:
        return ["Nothing."]
    rows = ["| case | seen | whose fault | why |", "|---|---|---|---|"]
    for id, reason in failed.items():
        why = explanation(implementation, id)
        whose, text = ("?", "not explained") if why is None else (why.whose, " ".join(why.text.split()))
        rows.append(f"| {id} | {_cell(_steady(reason))} | {whose} | {_cell(text)} |")
    return rows


def _table(done: Sequence[Done]) -> list[str]:
    versions = " | ".join(one.run.version for one in done)
    rows = [f"| case | | RFC | {versions} |", f"|---|---|---|{'---|' * len(done)}"]
    found = [{result.case.id: result for result in one.results} for one in done]
    cases: dict[str, Case] = {result.case.id: result.case for one in done for result in one.results}
    for id, case in cases.items():
        cells = []
        for results in found:
            result = results.get(id)
            word = "-" if result is None else _SHORT[result.verdict]
            if result is not None and result.verdict is Verdict.NOT_APPLICABLE:
                word += f": {_cell(_steady(result.reason))}"
            cells.append(word)
        if len(set(cells)) == 1 and cells[0].startswith("n/a:"):
            cells[1:] = ["n/a"] * (len(cells) - 1)
        rows.append(f"| {id} | {_cell(case.title)} | {_cell(case.rfc)} | {' | '.join(cells)} |")
    return rows


def _steady(reason: str) -> str:
    """A reason without what differs from run to run: SPIs in hexadecimal digits."""
    words = reason.split(" ")
    return " ".join("…" if len(word) in (8, 16) and _is_hex(word) else word for word in words)


def _is_hex(word: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in word)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def mapping() -> list[str]:
    """The table of algorithms that take the place of obsolete ones."""
    rows = ["| the specification's | here | why |", "|---|---|---|"]
    return rows + [f"| {one.specified} | {one.used} | {one.why} |" for one in MAPPING]
