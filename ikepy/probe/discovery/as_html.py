"""The report as a page: one file, nothing is loaded from elsewhere, no scripts. Whatever the host sent is
text in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from ikepy.dissect.render.document import document
from ikepy.probe.discovery.algorithms import ASKED, TITLES, name
from ikepy.probe.discovery.as_text import esp_words, feature_words, finding_words, habit_words
from ikepy.probe.discovery.report import Report

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ccc; }
th { width: 16rem; font-weight: 600; }
.grade { font-size: 1.4rem; font-weight: 700; }
.A, .B { color: #14602b; } .C { color: #7a4b00; } .F { color: #a00000; }
code { font-size: .9em; overflow-wrap: anywhere; }
"""


def page(report: Report) -> str:
    """The whole page."""
    title = f"ikepy probe {report.host}"
    return document(
        title,
        _STYLE,
        [
            f"<p>{escape(report.address)}, {escape(report.started)}: {report.requests} requests in "
            f"{report.seconds:.1f} s</p>",
            *_body(report),
        ],
    )


def _body(report: Report) -> Iterator[str]:
    ports = [(f"UDP {one.number}", f"{one.state} {one.words}") for one in report.ports.values()]
    yield _table("Ports", ports)
    if report.answers:
        yield from _grades(report)
        accepted = [(TITLES[kind], ", ".join(map(name, report.accepted(kind))) or "none") for kind in ASKED]
        unclear = [name(one) for kind in ASKED for one in report.transforms[kind].unclear]
        yield _table("Accepted", [*accepted, *([("unclear", ", ".join(unclear))] if unclear else [])])
        if report.esp is not None:
            yield _table("Accepted for ESP", esp_words(report.esp))
        yield _table("Announced", feature_words(report))
        if report.vendors:
            yield _table("Vendor IDs", [(one.name or "unknown", one.hex) for one in report.vendors])
        yield _table("Habits", habit_words(report))
        odd = [(one.name, f"{one.answer} - {one.verdict} ({one.section})") for one in report.odd]
        yield _table("Answers to odd messages", odd)
    old = report.ikev1
    yield _table("IKEv1", [("main mode", old.main), ("aggressive mode", old.aggressive)])
    if report.remarks:
        yield "<h2>Remarks</h2><ul>"
        yield from (f"<li>{escape(one)}</li>" for one in report.remarks)
        yield "</ul>"


def _grades(report: Report) -> Iterator[str]:
    yield "<h2>Grades</h2><table>"
    for grade in report.grades:
        letter = escape(grade.letter)
        reasons = [f"{one.name} ({finding_words(one)})" for one in grade.findings]
        words = escape("; ".join([grade.words, *reasons] if grade.words else reasons))
        title = f'<th scope="row">{escape(grade.title)}</th>'
        yield f'<tr>{title}<td class="grade {letter}">{letter}</td><td>{words}</td></tr>'
    yield "</table>"


def _table(heading: str, rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(left)}</th><td><code>{escape(right)}</code></td></tr>'
        for left, right in rows
    )
    return f"<h2>{escape(heading)}</h2><table>{cells}</table>"
