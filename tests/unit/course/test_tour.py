"""The tour through a lab, with a bed that only remembers what was typed on it."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from rich.console import Console

from ikepy.course.bed import Bed, Output
from ikepy.course.text import parse
from ikepy.course.tour import Quit, Restart, Tour

PAGE = """\
# Two hosts

Some prose.

<!-- run
left$ break it
-->

```console
alice$ one
one!
alice$ two
two!
```

<details><summary>The mend</summary>

```console
left$ mend it
done
```

</details>

```console check
alice$ three
three!
```
"""


class Remembering(Bed):
    """Answers what the page says: "three!" only once it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.typed: list[str] = []

    def run(self, node: str, script: str, timeout: float = 60.0) -> Output:
        self.typed.append(script)
        if script == "mend it":
            return Output("done\n", 0)
        return Output(f"{script}!\n" if script != "three" or "mend it" in self.typed else "not yet\n", 0)


class Walk:
    """A tour with the keys that a learner presses; None: nobody is asked."""

    def __init__(self, keys: Iterable[str] | None, page: str = PAGE) -> None:
        self.bed = Remembering()
        self.reached: list[int] = []
        self._shown = io.StringIO()
        console = Console(file=self._shown, width=100)
        waiting = None if keys is None else iter(keys)
        ask = None if waiting is None else lambda _: next(waiting)
        self.tour = Tour(parse(page, 1), self.bed, console, ask, self.reached.append)

    @property
    def shown(self) -> str:
        return self._shown.getvalue()


def test_everything_without_questions() -> None:
    walk = Walk(None)
    walk.tour.run()
    assert walk.bed.typed == ["break it", "one", "two", "mend it", "three"]
    assert walk.tour.differing == []
    assert walk.reached == [1, 2, 3, 4]
    for words in ("Some prose.", "alice$ one", "one!", "▸ The mend", "✓ That is it."):
        assert words in walk.shown
    assert "break it" not in walk.shown


def test_an_output_that_differs_is_told() -> None:
    walk = Walk(None, PAGE.replace("two!", "2"))
    walk.tour.run()
    assert [command.script for command, _ in walk.tour.differing] == ["two"]
    assert "The page says:\n2\n" in walk.shown


def test_a_mend_that_nobody_makes_is_told() -> None:
    walk = Walk(None, PAGE.replace("mend it", "look at it"))
    walk.tour.run()
    assert [command.script for command, _ in walk.tour.differing] == ["look at it", "three"]


def test_the_learner_skips_looks_again_and_is_shown_how() -> None:
    walk = Walk(["", "s", "s", "", "", "h", ""])
    walk.tour.run()
    assert walk.bed.typed == ["break it", "one", "three", "three", "mend it", "three"]
    assert walk.shown.count("✗ Not yet.") == 2
    assert walk.tour.differing == []


def test_a_check_that_fails_can_be_skipped() -> None:
    walk = Walk(["", "s", "s", "", "s"])
    walk.tour.run()
    assert walk.bed.typed == ["break it", "one", "three"]


def test_a_word_that_means_nothing_runs_nothing() -> None:
    walk = Walk(["x", "ss", "s", "q"])
    with pytest.raises(Quit):
        walk.tour.run()
    assert walk.bed.typed == ["break it"]
    assert "There is no 'x' here." in walk.shown


def test_the_end_and_the_beginning() -> None:
    for key, ends in (("q", Quit), ("r", Restart), ("Q ", Quit)):
        walk = Walk(["", key])
        with pytest.raises(ends):
            walk.tour.run()
        assert walk.reached == [1]


@pytest.mark.parametrize(
    ("done", "typed", "shown"),
    [
        (1, ["break it", "one", "two", "mend it", "three"], "alice$ two"),
        (2, ["break it", "one", "two", "mend it", "three"], "▸ The mend"),
        (3, ["break it", "one", "two", "mend it", "three"], "alice$ three"),
    ],
)
def test_going_on(done: int, typed: list[str], shown: str) -> None:
    """What was run is run again, silently."""
    walk = Walk([""] * 10)
    walk.tour.run(done)
    assert walk.bed.typed == typed
    assert shown in walk.shown
    assert "alice$ one" not in walk.shown and "Some prose" not in walk.shown
