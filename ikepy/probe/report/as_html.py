"""A run as a page: one file, nothing loaded from elsewhere, no scripts. What the peer sent is text in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ikepy.dissect.render.document import document
from ikepy.probe.report.as_text import summary
from ikepy.probe.report.record import Record
from ikepy.probe.verdict import Judgement

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem; border-bottom: 1px solid #ccc; }
summary { cursor: pointer; padding: .2rem 0; }
pre { font-size: .85rem; overflow-x: auto; background: #f4f4f4; padding: .5rem; }
.verdict { display: inline-block; min-width: 8.5rem; font-weight: 600; }
.pass { color: #14602b; } .fail { color: #a00000; } .not { color: #555; } .inconclusive { color: #7a4b00; }
"""


def page(records: Sequence[Record], about: dict[str, str]) -> str:
    """The whole page; `about`: what was tested and how."""
    title = f"Conformance of {about.get('host', '')}"
    return document(
        title,
        _STYLE,
        [
            f"<p>{escape(summary(list(records)))}</p>",
            _table(list(about.items())),
            *(part for one in records for part in _case(one)),
        ],
    )


def _case(one: Record) -> Iterator[str]:
    kind = one.verdict.partition(" ")[0]
    yield f'<details id="{escape(one.id)}"{" open" if one.failed else ""}><summary>'
    yield f'<span class="verdict {kind}">{escape(one.verdict)}</span> {escape(one.id)} {escape(one.title)}'
    yield f"</summary><p>{escape(one.rfc)}, {escape(one.level)}, {escape(one.group)}, {one.seconds:.2f} s</p>"
    if one.note:
        yield f"<p>{escape(one.note)}</p>"
    if one.reason:
        yield f"<p>{escape(one.reason)}</p>"
    if one.judgements:
        yield "<table><tr><th>expected</th><th>came</th><th></th></tr>"
        yield from (_judgement(each) for each in one.judgements)
        yield "</table>"
    yield f"<pre>{escape(one.ladder)}</pre>"
    yield f'<p><a href="cases/{escape(one.id)}.html">Every field</a></p></details>'


def _judgement(one: Judgement) -> str:
    word, kind = ("as expected", "pass") if one.passed else ("not so", "fail")
    cells = f"<td>{escape(one.expected)}</td><td>{escape(one.came)}</td>"
    return f'<tr>{cells}<td class="{kind}">{word}</td></tr>'


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"
