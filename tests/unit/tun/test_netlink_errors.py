"""What is said of the kernel's refusals."""

from __future__ import annotations

import errno

import pytest

from tun.netlink import RouteError


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (errno.ENETUNREACH, "", "no way to it: the network is unreachable"),
        (errno.EEXIST, "", "no way to it: File exists"),
        (errno.EEXIST, "there is one", "no way to it: there is one"),
        (0, "", "no way to it: refused, for no reason that the kernel names"),
    ],
)
def test_no_refusal_is_a_success(code: int, reason: str, text: str) -> None:
    assert str(RouteError("no way to it", code, reason)) == text
