"""Runs a short rtnetlink exchange through pyroute2, from any thread, inside an event loop too."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Result = TypeVar("Result")

# Error codes in words that help the author of a configuration.
_REASONS = {
    errno.EPERM: "no permission: this needs root or the capability CAP_NET_ADMIN",
    errno.ENODEV: "there is no such device",
    errno.ENETDOWN: "the device is down",
    errno.ENETUNREACH: "the network is unreachable",
    errno.EHOSTUNREACH: "the host is unreachable",
    errno.EAFNOSUPPORT: "the kernel has no support for this address family",
}


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address of this host, and the index and the name of the device that has it."""

    address: Address
    index: int
    device: str


class RouteError(Exception):
    """An address, route or device setting that the kernel refuses; the text says which and why.

    `errno` is the kernel's code, 0 if it was not the kernel who refused.
    """

    def __init__(self, what: str, code: int = 0, reason: str = "") -> None:
        super().__init__(f"{what}: {reason or _reason(code)}")
        self.errno = code


def _reason(code: int) -> str:
    return _REASONS.get(code) or (
        os.strerror(code) if code else "refused, for no reason that the kernel names"
    )


def converse(what: str, action: Callable[[IPRoute], Result]) -> Result:
    """What `action` returns, given an rtnetlink socket in the caller's network namespace.

    pyroute2 runs an event loop of its own below its synchronous calls, which can't be nested in a running
    one. Then the conversation has a thread for itself, made now, so that it stands in the caller's
    namespace. Raises `RouteError`, whose text begins with `what`, for the kernel's refusal.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _converse_here(what, action)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="netlink") as thread:
        return thread.submit(_converse_here, what, action).result()


def _converse_here(what: str, action: Callable[[IPRoute], Result]) -> Result:
    try:
        with IPRoute() as ip:
            return action(ip)
    except NetlinkError as error:
        raise RouteError(what, error.code) from error
    except OSError as error:
        raise RouteError(what, error.errno or 0, error.strerror or str(error)) from error
