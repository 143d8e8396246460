"""`ikepy lab course`: the labs, how far the learner is, and the tour through one of them."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console
from rich.text import Text

from ikepy.control.options import examples
from ikepy.course.bed import DIRECTORY, NODES, Bed
from ikepy.course.progress import Progress, default_file
from ikepy.course.text import Lab, labs
from ikepy.course.tour import Ask, Quit, Restart, Tour, commands
from ikepy.lab.netns import LabError
from ikepy.lab.state import locked

_DIFFERS = "not all commands printed what the page says"


@click.command(
    "course",
    epilog=examples(
        "ikepy lab course                 the labs, and how far you are",
        "ikepy lab course 1               the tour through lab 1; go on where you ended",
        "ikepy lab course 1 --again       from its beginning",
        "ikepy lab course --shell left    another terminal: a shell in a node of the lab",
        "ikepy lab course 1 --all         everything at once, without questions",
    ),
)
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Show and run it all; ask nothing. Exit status 1 "
    "if a command prints something else than the page says.",
)
@click.option("--again", is_flag=True, help="Begin anew, though you have been in the midst of it.")
@click.option("--shell", "node", type=click.Choice(NODES), help="A shell in a node of the lab that runs.")
def course(number: int | None, everything: bool, again: bool, node: str | None) -> None:
    """Ten labs about IKEv2 and ESP, each of twenty minutes, with commands to run and questions.

    Without NUMBER: the labs, and how far you are. The pages are in docs/course, too.
    """
    if node is not None:
        _shell(node)
    progress = Progress(default_file())
    found = {lab.number: lab for lab in labs()}
    if number is None:
        _list(list(found.values()), progress)
        return
    if number not in found:
        raise click.UsageError(f"there is no lab {number}; there are {', '.join(map(str, found))}")
    sys.exit(_guarded(found[number], progress, everything, again))


def _list(found: list[Lab], progress: Progress) -> None:
    for lab in found:
        done, of = progress[lab.number], commands(lab.items)
        how_far = "done" if done >= of else f"{done} of {of}" if done else ""
        click.echo(f"{lab.number:>3}  {lab.title:<50} {how_far}".rstrip())
    click.echo("\n`ikepy lab course 1` begins, or goes on where you ended.")


def _shell(node: str) -> NoReturn:
    bed = Bed()
    if os.geteuid() != 0 or not bed.nodes[node].exists:
        click.echo(
            "ikepy lab course: no lab runs (or you are not root): `ikepy lab course 1` begins one", err=True
        )
        sys.exit(1)
    words = bed.nodes[node].command("bash", "--norc", "-i")
    os.chdir(bed.directory)
    os.execvpe(words[0], words, {**bed.environment(node), "PS1": f"{node}$ "})


def _guarded(lab: Lab, progress: Progress, everything: bool, again: bool) -> int:
    """The exit status. Whatever ends it, the bed is removed."""
    if os.geteuid() != 0:
        click.echo("ikepy lab course: network namespaces need root: run it with sudo", err=True)
        return 1
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with locked(DIRECTORY):
            return _lead(lab, progress, everything, 0 if again else progress[lab.number])
    except (LabError, OSError) as error:
        click.echo(f"ikepy lab course: {error}", err=True)
        return 1
    except KeyboardInterrupt:
        click.echo("\nikepy lab course: interrupted; `ikepy lab course` says how far you are", err=True)
        return 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def _lead(lab: Lab, progress: Progress, everything: bool, done: int) -> int:
    console = Console(highlight=False, emoji=False)
    if everything or done >= commands(lab.items):
        done = 0
    while True:
        console.print(Text("building the lab out of network namespaces ...", style="dim"))
        with Bed() as bed:
            tour = Tour(
                lab,
                bed,
                console,
                None if everything else _ask(console),
                (lambda _: None) if everything else lambda reached: progress.reach(lab.number, reached),
            )
            try:
                tour.run(done)
            except Quit:
                return 0
            except Restart:
                done = 0
                continue
            finally:
                console.print(Text("removing the lab ...", style="dim"))
        break
    if everything and tour.differing:
        click.echo(f"ikepy lab course: {_DIFFERS}:", err=True)
        for command, _ in tour.differing:
            click.echo(f"  {command.node}$ {command.script}", err=True)
        return 1
    console.print(Text(f"That was lab {lab.number}. It is removed.", style="bold"))
    return 0


def _ask(console: Console) -> Ask:
    def ask(keys: str) -> str:
        try:
            return console.input(Text(f"[{keys}] ", style="dim"))
        except EOFError:
            raise Quit from None

    return ask
