"""VICI messages as lines for people, as swanctl has them where it has the command."""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.control.client import Message

PRIORITIES = ("critical", "high", "medium", "low")


def section(message: Message, key: str) -> Message:
    """A section of a message; an empty one if it has none."""
    value = message.get(key)
    return value if isinstance(value, dict) else {}


def word(message: Message, key: str) -> str:
    """A value of a message; empty if it has none."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def items(message: Message, key: str) -> list[str]:
    """The items of a list of a message; none if it has none."""
    value = message.get(key)
    return value if isinstance(value, list) else []


def words(message: Message, key: str) -> str:
    """The items of a list of a message, in one line."""
    return " ".join(items(message, key))


def statistics(answer: Message) -> Iterator[str]:
    """The lines of stats."""
    uptime, workers, sas = section(answer, "uptime"), section(answer, "workers"), section(answer, "ikesas")
    active, queues = section(workers, "active"), section(answer, "queues")
    yield f"uptime: {word(uptime, 'running')}, since {word(uptime, 'since')}"
    yield (
        f"workers: {word(workers, 'total')} total, {word(workers, 'idle')} idle, "
        f"working: {'/'.join(word(active, one) for one in PRIORITIES)}"
    )
    yield f"job queues: {'/'.join(word(queues, one) for one in PRIORITIES)}"
    yield f"jobs scheduled: {word(answer, 'scheduled')}"
    yield f"IKE_SAs: {word(sas, 'total')} total, {word(sas, 'half-open')} half-open"
    yield f"parts: {words(answer, 'plugins')}"


def algorithms(answer: Message) -> Iterator[str]:
    """The lines of list-algs: those kinds of which there are some."""
    for kind in answer:
        names = section(answer, kind)
        if names:
            yield f"{kind}:"
            for name in names:
                yield f"  {name}"


def counters(answer: Message) -> Iterator[str]:
    """The lines of counters."""
    found = section(answer, "counters")
    if not found:
        yield "nothing is counted yet"
    for name in found:
        yield f"{name or 'global'}:"
        for kind, number in section(found, name).items():
            yield f"  {kind:<22}: {number}"


def version(answer: Message) -> Iterator[str]:
    """The line of version --daemon."""
    system = ", ".join(filter(None, (word(answer, one) for one in ("sysname", "release", "machine"))))
    yield f"{word(answer, 'daemon')} {word(answer, 'version')} ({system})"


def policies(event: Message) -> Iterator[str]:
    """The lines of one policy."""
    for name in event:
        policy = section(event, name)
        yield f"{name}, {word(policy, 'mode')}"
        yield f"  local:  {words(policy, 'local-ts')}"
        yield f"  remote: {words(policy, 'remote-ts')}"


def pools(answer: Message) -> Iterator[str]:
    """The lines of list-pools: the leases in use, those that are not, and all addresses."""
    for name in answer:
        pool = section(answer, name)
        numbers = " / ".join(f"{word(pool, key):>3}" for key in ("online", "offline", "size"))
        yield f"{name:<20} {word(pool, 'base'):<30} {numbers}"
        for lease in section(pool, "leases").values():
            if isinstance(lease, dict):
                line = f"{word(lease, 'address'):<30} {word(lease, 'status'):<8} '{word(lease, 'identity')}'"
                yield f"  {line}"


def outline(message: Message, indent: int = 0) -> Iterator[str]:
    """Any message: an element a line."""
    space = " " * indent
    for name, value in message.items():
        if isinstance(value, dict):
            yield f"{space}{name}:"
            yield from outline(value, indent + 2)
        elif isinstance(value, list):
            yield f"{space}{name}: {' '.join(value)}"
        elif value.isascii() and value.isprintable():
            yield f"{space}{name}: {value}"
        else:
            yield f"{space}{name}: {len(value.encode(errors='surrogateescape'))} octets"


def log_line(event: Message) -> str:
    """A line of the log: `00[IKE] <site-b|1> text`."""
    about = "|".join(filter(None, (word(event, "ikesa-name"), word(event, "ikesa-uniqueid"))))
    sa = f" <{about}>" if about else ""
    return f"{word(event, 'thread').zfill(2)}[{word(event, 'group')}]{sa} {word(event, 'msg')}"


def progress(event: Message) -> str:
    """A line that a command shows while it is at work: `site-b #1: text`."""
    name, number = word(event, "ikesa-name"), word(event, "ikesa-uniqueid")
    return f"{name} #{number}: {word(event, 'msg')}" if number else word(event, "msg")


def change(name: str, event: Message) -> Iterator[str]:
    """The line, or lines, of an event of an SA, as monitor-sa prints them."""
    for connection, value in event.items():
        if not isinstance(value, dict):
            continue
        up = "up" if event.get("up", "no") == "yes" else "down"
        children = section(value, "child-sas") if name.startswith("child-") else {}
        if name == "ike-rekey":
            old, new = section(value, "old"), section(value, "new")
            numbers = f"#{word(old, 'uniqueid')} is replaced by #{word(new, 'uniqueid')}"
            yield f"{connection}: {numbers}, {_ends(new)}"
        elif name == "ike-update":
            here, there = _endpoint(event, "local"), _endpoint(event, "remote")
            yield f"{connection}: #{word(value, 'uniqueid')} moves to {here} === {there}"
        elif name == "ike-updown":
            yield f"{connection}: #{word(value, 'uniqueid')} {up}, {_ends(value)}"
        for child in children.values():
            if isinstance(child, dict):
                yield f"{connection}: #{word(value, 'uniqueid')}, {_child(name, child, up)}"


def _child(name: str, child: Message, up: str) -> str:
    if name == "child-rekey":
        old, new = section(child, "old"), section(child, "new")
        return (
            f"{word(new, 'name')} #{word(old, 'uniqueid')} is replaced by #{word(new, 'uniqueid')}, "
            f"{_selectors(new)}"
        )
    return f"{word(child, 'name')} #{word(child, 'uniqueid')} {up}, {_selectors(child)}"


def _selectors(child: Message) -> str:
    spis = f"{word(child, 'spi-in')}_i {word(child, 'spi-out')}_o"
    return f"{spis}, {words(child, 'local-ts')} === {words(child, 'remote-ts')}"


def _ends(sa: Message) -> str:
    return (
        f"'{word(sa, 'local-id')}' @ {_endpoint(sa, 'local')} === "
        f"'{word(sa, 'remote-id')}' @ {_endpoint(sa, 'remote')}"
    )


def _endpoint(sa: Message, side: str) -> str:
    return f"{word(sa, f'{side}-host')}[{word(sa, f'{side}-port')}]"


def log_levels(answer: Message) -> str:
    """ "audit=info config=info ..."."""
    levels = answer.get("levels")
    return " ".join(f"{name}={level}" for name, level in levels.items()) if isinstance(levels, dict) else ""
