"""Row layouts: how many rows are made of what anybody sends, and what is kept."""

from __future__ import annotations

import pytest

from esp.packet.row_layouts import MAX_ROWS, RowLayouts

SIZE, START, ICV = 200, 16, 16


@pytest.mark.parametrize("rows", [1, 5, 40, 64, 65, MAX_ROWS])
def test_there_are_as_many_rows_as_are_needed(rows: int) -> None:
    layouts = RowLayouts(1 << 18)
    for wanted in (5, rows, 5):
        layout = layouts.layout(SIZE, START, ICV, rows=wanted)
        assert wanted <= layout.capacity == len(layout.rows) == len(layout.plaintexts)
        assert layouts.layout(SIZE, START, ICV, rows=wanted) is layout, "it is kept"


def test_few_packets_of_ever_other_sizes_make_few_rows() -> None:
    layouts = RowLayouts(1 << 18)
    made = [layouts.layout(size, START, ICV, rows=5) for size in range(SIZE, SIZE + 100)]
    assert max(len(one.rows) for one in made) < 20


@pytest.mark.parametrize("pitch", [0, 1000])
def test_an_arena_without_room_for_them_is_looked_at_once(pitch: int) -> None:
    layouts = RowLayouts(10_000, pitch)
    for wanted in (60, MAX_ROWS):
        layout = layouts.layout(SIZE, START, ICV, rows=wanted)
        assert layout.capacity == 10_000 // (pitch or SIZE)
        assert layouts.layout(SIZE, START, ICV, rows=wanted) is layout
