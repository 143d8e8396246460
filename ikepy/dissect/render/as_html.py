"""A ladder as one HTML page that needs nothing else: no scripts, nothing from other places.

What came from the wire is text there, never markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ikepy.dissect.derivation import Step
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Message
from ikepy.dissect.render import as_svg
from ikepy.dissect.render.document import document
from ikepy.dissect.tree import Layer, Node, hexadecimal

_STYLE = """
body { font: 15px/1.45 sans-serif; margin: 1.5rem; color: #1f1f1f; background: #fff; }
summary { cursor: pointer; }
details { margin-left: 1.2rem; }
.leaf { margin-left: 2.3rem; }
.message { margin: 0.4rem 0; border-left: 4px solid #1a4f8b; padding-left: 0.5rem; }
.message.wrong { border-color: #b3261e; }
.when { color: #44546a; font-family: monospace; }
.right { color: #1d6b34; }
.wrong > summary, .problem { color: #b3261e; }
.note { color: #44546a; font-style: italic; margin-left: 2.3rem; }
.octets { font-family: monospace; overflow-wrap: anywhere; color: #44546a; }
.name { font-weight: 600; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; }
td, th { border: 1px solid #9aa0a6; padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }
"""


def render(ladder: Ladder, title: str = "Ladder", steps: Sequence[Step] = ()) -> str:
    """The page: the picture, each message with its layers and fields, and how keys came about."""
    return document(title, _STYLE, _body(ladder, steps))


def _body(ladder: Ladder, steps: Sequence[Step]) -> Iterator[str]:
    yield as_svg.render(ladder)
    yield "<h2>Messages</h2>"
    begin = ladder.begin_s
    for message in ladder:
        yield from _message(ladder, message, begin)
    if steps:
        yield from _steps(steps)


def _message(ladder: Ladder, message: Message, begin: float) -> Iterator[str]:
    left, right = ladder.ends(message)
    arrow = "→" if ladder.goes_right(message) else "←"
    yield f'<details class="message{" wrong" if message.problems else ""}" id="m{message.number}"><summary>'
    yield f'<span class="when">{message.time_s - begin:.6f}</span> {escape(f"{left} {arrow} {right}")} '
    yield f'<span class="name">{escape(message.summary)}</span></summary>'
    if message.copies:
        times = ", ".join(f"{when - begin:.6f}" for when in message.copies[:16])
        yield f'<div class="leaf">sent again at {times}</div>'
    yield from (f'<div class="leaf right">✓ {escape(one)}</div>' for one in message.findings)
    yield from (f'<div class="leaf problem">! {escape(one)}</div>' for one in message.problems)
    for layer in message.layers:
        yield from _layer(layer)
    yield "</details>"


def _layer(layer: Layer) -> Iterator[str]:
    told = f"{layer.name}, {len(layer.octets)} octets: {layer.node.value}"
    yield f"<details open><summary>{escape(told)}</summary>"
    for node in layer.node.children:
        yield from _node(node, layer.octets)
    yield "</details>"


def _node(node: Node, octets: bytes) -> Iterator[str]:
    told = f'<span class="name">{escape(node.name)}</span>: {escape(node.value)}'
    place = f'<span class="octets">[{node.start}:{node.end}]</span>'
    note = f'<div class="note">{escape(node.note)} ({escape(node.rfc)})</div>' if node.note else ""
    if not node.children:
        data = hexadecimal(octets[node.start : node.end])
        shown = "" if data == node.value else f' <span class="octets">{data}</span>'
        yield f'<div class="leaf">{told} {place}{shown}</div>{note}'
        return
    yield f"<details><summary>{told} {place}</summary>{note}"
    for child in node.children:
        yield from _node(child, octets)
    yield "</details>"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    yield "<h2>Keys</h2>\n<table><tr><th>value</th><th>formula</th><th>inputs</th><th>output</th></tr>"
    for step in steps:
        inputs = "<br>".join(f"{escape(name)} = {hexadecimal(data)}" for name, data in step.inputs)
        note = f"<br><em>{escape(step.note)} ({escape(step.rfc)})</em>" if step.note else ""
        yield f"<tr><td>{escape(step.name)}</td><td>{escape(step.formula)}{note}</td>"
        yield f'<td class="octets">{inputs}</td><td class="octets">{hexadecimal(step.output)}</td></tr>'
    yield "</table>"
