"""A page of the course: what stands in it, in order, and what is told of a page that is not in its form."""

from __future__ import annotations

import pytest

from ikepy.course.text import Command, Details, File, Lab, Prose, TextError, labs, parse, walk
from ikepy.course.tour import commands

PAGE = """\
# Two hosts

Some prose,
in two lines.

```toml left.toml
[daemon]
```

```console
alice$ cat > file <<END
> one
> END
left$ ls
file
other
```

<!-- run
right$ true
-->

<details><summary>Question: why?</summary>

Because:

```console check
bob$ true
```

</details>

The end.
"""


def test_what_stands_in_a_page() -> None:
    lab = parse(PAGE, 3, "3-two-hosts.md")
    assert (lab.number, lab.name, lab.title) == (3, "3-two-hosts.md", "Two hosts")
    assert lab.items == (
        Prose("Some prose,\nin two lines."),
        File("left.toml", "[daemon]\n"),
        Command("alice", "cat > file <<END\none\nEND", (), 13),
        Command("left", "ls", ("file", "other"), 14),
        Command("right", "true", (), 20, hidden=True),
        Details("Question: why?", (Prose("Because:"), Command("bob", "true", (), 28, check=True))),
        Prose("The end."),
    )
    assert commands(lab.items) == 3
    assert len(list(walk(lab.items))) == 9


def test_the_line_of_an_output_is_where_it_stands() -> None:
    for item in walk(parse(PAGE, 3).items):
        if isinstance(item, Command):
            lines = PAGE.splitlines()[item.line :]
            assert tuple(lines[: len(item.output)]) == item.output


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("", "begins with"),
        ("Title\n", "begins with"),
        ("# T\n```console\nalice$ ls\n", "line 2: ``` is missing"),
        ("# T\n```console\nls\n```\n", "line 3: a prompt"),
        ("# T\n```console\neve$ ls\n```\n", "line 3: a prompt"),
        ("# T\n<!-- run\nleft$ ls\n", "line 2: --> is missing"),
        ("# T\n<details><summary>Q</summary>\nA\n", "</details> is missing"),
        ("# T\n<p>\n", "line 2: '<p>' is no form"),
    ],
)
def test_a_page_that_is_not_in_its_form(page: str, told: str) -> None:
    with pytest.raises(TextError, match=told):
        parse(page, 1, "1-t.md")


def test_the_labs_are_numbered_without_a_gap() -> None:
    found = labs()
    assert [lab.number for lab in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("lab", labs(), ids=lambda lab: lab.name)
def test_each_lab_has_a_goal_questions_and_what_to_remember(lab: Lab) -> None:
    prose = [item.text for item in lab.items if isinstance(item, Prose)]
    assert prose[0].startswith("**Goal.** ")
    assert "**Remember.** " in prose[-1]
    assert sum(isinstance(item, Details) for item in lab.items) >= 2
    assert commands(lab.items) >= 5
