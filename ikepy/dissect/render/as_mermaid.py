"""A ladder as a Mermaid sequence diagram, for pages that draw those."""

from __future__ import annotations

from ikepy.dissect.ladder import Ladder

MAX_MESSAGES = 500
_SPECIAL = {one: f"#{ord(one)};" for one in '#;:<>&"%{}'}


def render(ladder: Ladder) -> str:
    """The text of the diagram. Ends are addresses; long ladders are cut, and say so."""
    lines = ["sequenceDiagram"]
    names: dict[str, str] = {}
    arrows: list[str] = []
    for message in list(ladder)[:MAX_MESSAGES]:
        ends = [str(one.address) for one in (message.source, message.destination)]
        for end in ends:
            names.setdefault(end, f"P{len(names)}")
        again = f" (sent {len(message.copies) + 1} times)" if message.copies else ""
        arrows.append(f"    {names[ends[0]]}->>{names[ends[1]]}: {_escaped(message.summary + again)}")
        for finding in message.findings:
            arrows.append(f"    Note over {names[ends[0]]}: {_escaped(finding)}")
        for problem in message.problems:
            arrows.append(f"    Note over {names[ends[0]]}: ! {_escaped(problem)}")
    lines += [f"    participant {short} as {_escaped(name)}" for name, short in names.items()]
    lines += arrows
    if len(ladder) > MAX_MESSAGES:
        lines.append(f"    Note over P0: {len(ladder) - MAX_MESSAGES} more messages")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(one, one if one.isprintable() else "?") for one in text)
