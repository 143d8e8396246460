"""What is said of the kernel's refusals."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from tun import network
from tun.netlink import Address, RouteError


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


@pytest.mark.parametrize("ask", [network.best_route, network.uplink_mtu, network.is_local])
@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOBUFS])
def test_a_question_that_cannot_be_asked_has_no_answer(
    ask: Callable[[Address], object], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That there is no route would be one."""

    def none_left(*arguments: object, **keys: object) -> None:
        raise OSError(code, "no room")

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(OSError, match="no room"):
        ask(ip_address("192.0.2.1"))
