"""Leads through a lab in a terminal: text, commands as the learner wants them, outputs, questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.text import Text

from ikepy.course.bed import Bed
from ikepy.course.compare import fits
from ikepy.course.text import Command, Details, File, Item, Lab, Prose, walk

Ask = Callable[[str], str]  # the keys that may be pressed -> what was typed

_RUN = "Enter runs it, s skips it, r begins the lab anew, q ends it"
_OPEN = "Enter shows it, s goes on without, r begins the lab anew, q ends it"
_AGAIN = "Enter looks again, h shows how, s skips it, r begins the lab anew, q ends it"


class Quit(Exception):  # noqa: N818  no error
    """The learner ends the tour."""


class Restart(Exception):  # noqa: N818  no error
    """The learner wants the lab from its beginning."""


class Tour:
    """One way through a lab.

    `ask` is None where nobody is there to be asked: then everything is shown and run, and `differing` has the
    commands that printed something else than the page says, and what they printed.
    """

    def __init__(
        self,
        lab: Lab,
        bed: Bed,
        console: Console,
        ask: Ask | None,
        reached: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._lab = lab
        self._bed = bed
        self._console = console
        self._ask = ask
        self._reached = reached
        self._done = 0
        self._skipped: Details | None = None
        self.differing: list[tuple[Command, str]] = []

    def run(self, done: int = 0) -> None:
        """Lead through it. The first `done` commands were run before: they are repeated without a word.

        Raises Quit, Restart; LabError where the bed does not do what it should.
        """
        self._console.print(Markdown(f"# Lab {self._lab.number}: {self._lab.title}"))
        for item in self._lab.items:
            self._take(item, done)

    def _take(self, item: Item, done: int) -> None:
        """One item; `done`: commands that are only repeated."""
        again = self._done < done
        match item:
            case Prose(text) if not again:
                self._console.print(Markdown(text))
                self._console.print()
            case File(name, text):
                self._bed.write(name, text)
                if not again:
                    self._file(name, text)
            case Command():
                self._command(item, again)
            case Details():
                self._details(item, done)

    def _file(self, name: str, text: str) -> None:
        self._console.print(Text(f"{name} is written:", style="bold"))
        self._console.print(Padding(Text(text), (0, 0, 0, 4)))

    def _command(self, command: Command, again: bool) -> None:
        if command.hidden or again:
            self._bed.run(command.node, command.script)
        elif command.check:
            self._check(command)
        else:
            self._typed(command)
            if self._choice(_RUN) != "s":
                self._show(command)
        if not command.hidden:
            self._done += 1
            self._reached(max(self._done, 0))

    def _typed(self, command: Command) -> None:
        first, *rest = command.script.split("\n")
        line = Text.assemble((f"{command.node}$ ", "green"), (first, "bold"))
        for more in rest:
            line.append(f"\n> {more}")
        self._console.print(line, soft_wrap=True)

    def _show(self, command: Command) -> bool:
        """Run it and show what it prints. Is that what the page says?"""
        printed = self._bed.run(command.node, command.script).text
        right = fits(command.output, printed)
        if not right:
            self.differing.append((command, printed))
        self._console.print(Text(printed.rstrip("\n")), soft_wrap=True)
        if not right:
            self._console.print(Text("The page says:", style="yellow"))
            self._console.print(Text("\n".join(command.output), style="dim"), soft_wrap=True)
        self._console.print()
        return right

    def _check(self, command: Command) -> None:
        """The lab looks whether the learner has done what was asked."""
        self._typed(command)
        key = self._choice(_RUN)
        while key != "s":
            if self._show(command):
                self._console.print(Text("✓ That is it.\n", style="bold green"))
                return
            if self._ask is None:
                return
            self._console.print(Text("✗ Not yet.", style="bold red"))
            self.differing.pop()
            key = self._choice(_AGAIN)
            if key == "h" and self._skipped is not None:
                self._open(self._skipped)

    def _details(self, details: Details, done: int) -> None:
        commands = sum(isinstance(item, Command) and not item.hidden for item in walk(details.items))
        if self._done + commands < done:
            for item in details.items:
                self._take(item, done)
            return
        self._console.print(Text(f"▸ {details.summary}", style="bold cyan"))
        self._skipped = details
        if self._choice(_OPEN) == "s":
            self._done += commands
            self._reached(self._done)
        else:
            self._open(details)

    def _open(self, details: Details) -> None:
        for item in details.items:
            self._take(item, 0)

    def _choice(self, keys: str) -> str:
        """What the learner wants: "" for Enter. Raises Quit, Restart."""
        if self._ask is None:
            return ""
        known = {"", *(part.split()[0] for part in keys.split(", ")[1:])}
        while (key := self._ask(keys).strip().lower()) not in known:
            self._console.print(Text(f"There is no {key!r} here.", style="yellow"))
        if key == "q":
            raise Quit
        if key == "r":
            raise Restart
        return key


def commands(items: Iterable[Item]) -> int:
    """How many commands a learner sees in a lab."""
    return sum(isinstance(item, Command) and not item.hidden for item in walk(tuple(items)))
