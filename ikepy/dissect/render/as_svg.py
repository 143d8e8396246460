"""A ladder as a picture: a column an end, an arrow a message, time downwards. No scripts, no links."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Kind, Message

MAX_MESSAGES = 500
MAX_ENDS = 12
# Pixels: the first column, the first arrow, a row, between columns.
_LEFT, _TOP, _ROW, _WIDTH = 90, 56, 40, 760
_LONGEST = 100  # characters on an arrow
_COLOURS = {Kind.IKE: "#1a4f8b", Kind.ESP: "#1d6b34", Kind.KEEPALIVE: "#5f6368", Kind.OTHER: "#8a5a00"}
_WRONG = "#b3261e"


def render(ladder: Ladder) -> str:
    """An SVG document. Long ladders and many ends are cut, and say so."""
    shown = list(ladder)[:MAX_MESSAGES]
    columns = _columns(shown)
    rows = [one for one in shown if {str(one.source.address), str(one.destination.address)} <= columns.keys()]
    width = _LEFT * 2 + _WIDTH * max(len(columns) - 1, 1)
    height = _TOP + _ROW * (len(rows) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="13">',
        "<title>Ladder of IKE and ESP messages</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="context-stroke"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for name, x in columns.items():
        parts.append(f'<text x="{x}" y="20" text-anchor="middle" font-weight="bold">{escape(name)}</text>')
        parts.append(f'<line x1="{x}" y1="30" x2="{x}" y2="{height - 10}" stroke="#9aa0a6"/>')
    begin = ladder.begin_s
    for number, message in enumerate(rows):
        parts += _arrow(message, columns, _TOP + number * _ROW, message.time_s - begin)
    if len(rows) < len(ladder):
        parts.append(f'<text x="{_LEFT}" y="{height - 12}">{len(ladder) - len(rows)} more messages</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _columns(messages: list[Message]) -> dict[str, int]:
    found: dict[str, int] = {}
    for message in messages:
        for end in (message.source, message.destination):
            if len(found) < MAX_ENDS:
                found.setdefault(str(end.address), _LEFT + _WIDTH * len(found))
    return found


def _arrow(message: Message, columns: dict[str, int], y: int, seconds: float) -> Iterator[str]:
    start, end = columns[str(message.source.address)], columns[str(message.destination.address)]
    colour = _WRONG if message.problems else _COLOURS[message.kind]
    again = f" ×{len(message.copies) + 1}" if message.copies else ""
    text = message.summary + again
    label = escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
    yield f"<g><title>{escape(' | '.join([message.summary, *message.findings, *message.problems]))}</title>"
    yield (
        f'<line x1="{start}" y1="{y + 8}" x2="{end}" y2="{y + 8}" stroke="{colour}" stroke-width="1.5" '
        'marker-end="url(#tip)"/>'
    )
    yield f'<text x="{(start + end) // 2}" y="{y}" text-anchor="middle" fill="{colour}">{label}</text>'
    left = min(start, end)
    yield f'<text x="{left - 8}" y="{y + 12}" text-anchor="end" font-size="11">{seconds:.6f}</text></g>'
