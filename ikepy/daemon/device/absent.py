"""Stands in for a TUN device that could not be created yet: its operations do nothing."""

from __future__ import annotations


class AbsentTun:
    """No device: no descriptor, and no index that the kernel gives."""

    fd = -1
    index = -1

    def __init__(self, name: str) -> None:
        self.name = name

    def rename(self, name: str, /) -> None:
        self.name = name

    def set_carrier(self, up: bool, /) -> None:
        return

    def close(self) -> None:
        return

    def close_later(self) -> None:
        return
