"""Inbound SPIs name their worker and are nobody else's (RFC 4303 2.1)."""

import pytest

from ikepy.daemon.effects.entropy import SystemEntropy


@pytest.mark.parametrize(("workers", "slot"), [(1, 0), (2, 0), (2, 1), (3, 2), (64, 63)])
def test_an_spi_names_the_worker_of_its_connection(workers: int, slot: int) -> None:
    entropy = SystemEntropy(workers, {"a": slot}.__getitem__, set)
    spis = [entropy.child_spi("a") for _ in range(500)]
    assert all(256 <= spi <= 0xFFFFFFFF and spi % workers == slot for spi in spis)
    assert len(set(spis)) == len(spis)


def test_the_whole_space_is_used() -> None:
    entropy = SystemEntropy(2, lambda _: 1, set)
    spis = [entropy.child_spi("a") for _ in range(500)]
    assert min(spis) < 1 << 29
    assert max(spis) > 7 << 29


def test_a_live_spi_is_not_given_again() -> None:
    workers = 1 << 30  # four SPIs of the slot exist, and 7 itself is reserved
    live: set[int] = set()
    entropy = SystemEntropy(workers, lambda _: 7, lambda: live)
    live.update(entropy.child_spi("a") for _ in range(2))
    last = entropy.child_spi("a")
    assert {*live, last} == {7 + n * workers for n in (1, 2, 3)}
    with pytest.raises(RuntimeError, match="no free SPI"):
        entropy.child_spi("a")


def test_a_slot_that_is_none_is_refused() -> None:
    entropy = SystemEntropy(2, lambda _: 2, set)
    with pytest.raises(ValueError, match="slot 2 of 2"):
        entropy.child_spi("a")


def test_random_bytes_and_numbers() -> None:
    entropy = SystemEntropy(1, lambda _: 0, set)
    assert len(entropy.random(32)) == 32
    assert entropy.random(32) != entropy.random(32)
    assert all(0.0 <= entropy.uniform() < 1.0 for _ in range(100))
