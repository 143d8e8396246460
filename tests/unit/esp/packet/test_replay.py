"""esp.packet.replay: the window's edges and the high half of ESNs."""

import pytest

from esp.packet.replay import ReplayWindow


def accept(window: ReplayWindow, low: int) -> bool:
    sequence = window.check(low)
    return sequence is not None and window.mark(sequence)


def test_each_number_once() -> None:
    window = ReplayWindow(32, esn=False)
    assert [accept(window, n) for n in (1, 2, 2, 5, 3, 3, 4, 5, 1)] == [
        True, True, False, True, True, False, True, False, False,
    ]  # fmt: skip


def test_left_edge() -> None:
    window = ReplayWindow(32, esn=False)
    assert accept(window, 100)
    assert not accept(window, 68)
    assert accept(window, 69)


def test_zero_is_never_valid() -> None:
    assert not accept(ReplayWindow(32, esn=False), 0)


def test_a_check_marks_nothing() -> None:
    window = ReplayWindow(32, esn=False)
    assert window.check(7) == 7
    assert window.check(7) == 7
    assert window.top == 0


def test_a_duplicate_in_one_batch_is_found_when_marked() -> None:
    window = ReplayWindow(32, esn=False)
    first, second = window.check(7), window.check(7)
    assert first == second == 7
    assert window.mark(7)
    assert not window.mark(7)


def test_a_big_jump_forgets_the_old_numbers_only() -> None:
    window = ReplayWindow(64, esn=False)
    assert accept(window, 1)
    assert accept(window, 1000)
    assert accept(window, 1000 - 63)
    assert not accept(window, 1)


def test_no_window_accepts_everything() -> None:
    window = ReplayWindow(0, esn=False)
    assert [accept(window, n) for n in (5, 5, 1, 0)] == [True] * 4


@pytest.mark.parametrize("size", [-1, 4097])
def test_impossible_size(size: int) -> None:
    with pytest.raises(ValueError, match="replay window"):
        ReplayWindow(size, esn=False)


def test_largest_window() -> None:
    window = ReplayWindow(4096, esn=False)
    assert accept(window, 5000)
    assert accept(window, 5000 - 4095)
    assert not accept(window, 5000 - 4096)


def test_esn_rolls_over() -> None:
    """RFC 4303 A2.2, case A and then case B."""
    window = ReplayWindow(64, esn=True)
    assert window.mark((1 << 32) - 10)
    assert window.check(0xFFFFFFFF) == 0xFFFFFFFF
    assert window.check(5) == (1 << 32) + 5
    assert window.mark((1 << 32) + 5)
    assert window.check(0xFFFFFFFE) == 0xFFFFFFFE  # late, of the numbers before
    assert window.check(6) == (1 << 32) + 6
    assert window.check(5) is None
    assert window.check(0xFFFFFF00) == (1 << 32) + 0xFFFFFF00  # left of the window: so it must be new


def test_esn_edge_between_late_and_next() -> None:
    window = ReplayWindow(64, esn=True)
    assert window.mark(1000)
    assert window.check(1000 - 63) == 1000 - 63
    assert window.check(1000 - 64) == (1 << 32) + 1000 - 64


def test_esn_has_no_numbers_below_zero() -> None:
    assert ReplayWindow(64, esn=True).check(0xFFFFFFFF) is None


def test_esn_ends() -> None:
    window = ReplayWindow(64, esn=True)
    assert window.mark((1 << 64) - 1)
    assert window.check(5) is None


def test_esn_without_a_window_takes_the_nearest_number() -> None:
    window = ReplayWindow(0, esn=True)
    assert window.mark((5 << 32) + 7)
    assert window.check(6) == (5 << 32) + 6
    assert window.check(0xFFFFFFFF) == (4 << 32) + 0xFFFFFFFF


@pytest.mark.parametrize("size", [1, 32, 4096])
@pytest.mark.parametrize(("top", "esn"), [(1, False), (100, False), ((1 << 32) - 2, False), (3 << 32, True)])
def test_nothing_up_to_a_given_right_edge_is_new(size: int, top: int, esn: bool) -> None:
    window = ReplayWindow(size, esn, top)
    taken = [
        number for number in range(max(1, top - size + 1), top + 1) if accept(window, number & 0xFFFFFFFF)
    ]
    assert not taken
    assert window.above_top(top & 0xFFFFFFFF) is None
    assert accept(window, (top + 1) & 0xFFFFFFFF)
    assert window.top == top + 1
    assert not accept(window, (top + 1) & 0xFFFFFFFF)


def test_a_given_right_edge_tells_the_high_half() -> None:
    """RFC 4303 A2.2: a new window would take this for the number 7."""
    assert ReplayWindow(64, esn=True, top=(5 << 32) + 3).check(7) == (5 << 32) + 7


@pytest.mark.parametrize(("top", "esn"), [(-1, False), (1 << 32, False), (1 << 64, True)])
def test_impossible_right_edge(top: int, esn: bool) -> None:
    with pytest.raises(ValueError, match="no sequence number"):
        ReplayWindow(64, esn, top)
