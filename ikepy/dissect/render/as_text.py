"""A ladder as text: an arrow a message, below it as much of its fields as was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

from rich.text import Text

from ikepy.dissect.derivation import Step
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import Kind, Message
from ikepy.dissect.tree import Layer, Node, hexadecimal

_RIGHT, _LEFT = "───▶", "◀───"
_STYLES = {Kind.IKE: "bold", Kind.ESP: "green", Kind.KEEPALIVE: "dim", Kind.OTHER: "yellow"}
_MAX_TIMES = 8  # of copies


class Detail(IntEnum):
    """How much is shown below each arrow."""

    ARROWS = 0
    PAYLOADS = 1
    FIELDS = 2
    NOTES = 3


def lines(ladder: Ladder, detail: Detail = Detail.PAYLOADS) -> Iterator[Text]:
    """The ladder line by line, for rich to print, or as `line.plain`. It holds no control characters."""
    begin = ladder.begin_s
    width = max((len(end) for message in ladder for end in ladder.ends(message)), default=0)
    for message in ladder:
        yield _arrow(ladder, message, begin, width)
        if message.copies:
            yield Text(f"{'':14}{_copies(message, begin)}", "yellow")
        for finding in message.findings:
            yield Text(f"{'':14}✓ {finding}", "green")
        for problem in message.problems:
            yield Text(f"{'':14}! {problem}", "red")
        if detail >= Detail.PAYLOADS:
            for layer in message.layers:
                yield from _layer(layer, detail)
            yield Text()


def render(ladder: Ladder, detail: Detail = Detail.PAYLOADS) -> str:
    """As `lines`, in one string without colours."""
    return "".join(f"{line.plain.rstrip()}\n" for line in lines(ladder, detail))


def step_lines(steps: Sequence[Step]) -> Iterator[Text]:
    """How keys came about: each step with its formula, inputs and output."""
    if steps:
        yield Text("Keys", "bold")
    for step in steps:
        line = Text(f"  {step.name}", "bold")
        line.append(f" = {step.formula}", "not bold")
        yield line
        for name, octets in step.inputs:
            yield Text(f"      {name} = {hexadecimal(octets)}", "dim")
        yield Text(f"    = {hexadecimal(step.output)}", "cyan")


def _arrow(ladder: Ladder, message: Message, begin: float, width: int) -> Text:
    left, right = ladder.ends(message)
    arrow = _RIGHT if ladder.goes_right(message) else _LEFT
    line = Text(f"{message.number + 1:4}  ", "dim")
    line.append(f"{message.time_s - begin:11.6f}  ", "cyan")
    line.append(f"{left:>{width}} {arrow} {right:<{width}}  ")
    line.append(message.summary, _STYLES[message.kind])
    return line


def _copies(message: Message, begin: float) -> str:
    shown = ", ".join(f"{when - begin:.6f}" for when in message.copies[:_MAX_TIMES])
    more = ", …" if len(message.copies) > _MAX_TIMES else ""
    times = "once" if len(message.copies) == 1 else f"{len(message.copies)} times"
    return f"sent again {times}: at {shown}{more}"


def _layer(layer: Layer, detail: Detail) -> Iterator[Text]:
    line = Text("      ")
    line.append(f"{layer.name}", "underline")
    line.append(f", {len(layer.octets)} octets: {layer.node.value}")
    yield line
    for node in layer.node.children:
        yield from _node(node, detail, 1)


def _node(node: Node, detail: Detail, depth: int) -> Iterator[Text]:
    line = Text("      " + "  " * depth)
    line.append(node.name, "bold" if depth == 1 else "")
    line.append(f": {node.value}")
    yield line
    if detail >= Detail.NOTES and node.note:
        yield Text("      " + "  " * (depth + 1) + f"{node.note} ({node.rfc})", "dim italic")
    if detail >= Detail.FIELDS:
        for child in node.children:
            yield from _node(child, detail, depth + 1)
