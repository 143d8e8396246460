"""The table of `make bench`: medians, ratios, targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.report import BEGIN, END, HEADINGS, Row, Target, markdown, number, spread, table, write


def cells(row: Row) -> dict[str, str]:
    return dict(zip(HEADINGS, row.cells(), strict=True))


def test_ratio_to_strongswan() -> None:
    found = cells(Row("TCP", "Mbit/s", [3200, 3000, 3400], [400, 390, 500], Target(8), aim="aim 3,500"))
    assert found == {
        "": "TCP, Mbit/s",
        "ikepy": "3,200 (3,000 - 3,400)",
        "strongSwan": "400 (390 - 500)",
        "ratio": "8",
        "target": "≥ 8 × strongSwan; aim 3,500",
        "reached": "8 ✓",
    }


def test_ratio_to_own_figure_is_judged_and_theirs_is_shown() -> None:
    found = cells(Row("eight", "Mbit/s", [900], [300], Target(1), [1000], "own one flow"))
    assert found["ratio"] == "3"
    assert found["target"] == "≥ 1 × own one flow"
    assert found["reached"] == "0.90 ✗"


def test_target_of_the_figure_itself() -> None:
    target = Target(150, at_most=True, of_figure=True)
    assert cells(Row("memory", "MiB", [149.4], target=target))["reached"] == "149 ✓"
    assert cells(Row("memory", "MiB", [151], target=target))["reached"] == "151 ✗"


def test_at_most_strongswans() -> None:
    row = Row("RTT", "ms", [0.5], [0.25], Target(1, at_most=True))
    assert cells(row)["reached"] == "2 ✗"
    assert cells(row)["target"] == "≤ 1 × strongSwan"


def test_only_printed() -> None:
    found = cells(Row("CPU", "s", [1.25]))
    assert (found["ikepy"], found["strongSwan"], found["ratio"], found["target"], found["reached"]) == (
        "1.25",
        "",
        "",
        "",
        "",
    )


def test_beside_an_own_figure_without_a_target() -> None:
    found = cells(Row("two", "Mbit/s", [900], beside=[1000], beside_what="own one"))
    assert (found["ratio"], found["target"], found["reached"]) == ("", "", "0.90 × own one")


def test_theirs_is_nothing() -> None:
    assert Row("rate", "", [1.0], [0.0]).ratio == float("inf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.123, "0.12"),
        (9.99, "9.99"),
        (12.34, "12.3"),
        (123.4, "123"),
        (65432.1, "65,432"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_spread_is_the_median() -> None:
    assert spread([5.0, 1.0, 3.0]) == "3 (1 - 5)"
    assert spread([5.0]) == "5"


def test_markdown_has_a_cell_a_heading() -> None:
    text = markdown([Row("TCP", "Mbit/s", [1], [2]), Row("CPU", "s", [3])], "Title", "2 CPUs")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}
    assert text.startswith("Title.\n\n|")
    assert text.endswith("\n\n2 CPUs.\n")


def test_table_has_a_line_a_row() -> None:
    assert table([Row("TCP", "Mbit/s", [1], [2])] * 3, "Title").row_count == 3


def test_a_file_without_marks_is_the_table(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write(path, "one\n")
    write(path, "two\n")
    assert path.read_text() == "two\n"


def test_between_the_marks_of_a_page(tmp_path: Path) -> None:
    """As often as one likes: what stands around them stays."""
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for text in ("one\n", "two\n"):
        write(path, text)
        assert path.read_text() == f"before\n{BEGIN}\n\n{text}\n{END}\nafter\n"


def test_the_page_of_the_figures_has_the_marks() -> None:
    page = (Path(report.__file__).parent / "README.md").read_text()
    assert 0 < page.find(BEGIN) < page.find(END)
