"""Checks before the daemon opens anything, so that a start that can't succeed changes nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator, Set
from importlib.util import find_spec
from pathlib import Path

from ikepy.config.model import Config, Connection
from ikepy.daemon import log
from ikepy.daemon.control.control_socket import refuse_living
from ikepy.daemon.errors import StartError
from tun.links import link_driver

FOR_HTTP = ("h11", "prometheus_client")  # pyproject.toml: the extra "http"
FOR_EAP = {"eap-tls": ("OpenSSL",), "eap-mschapv2": ("Crypto",)}  # the extra "eap"
FOR_RADIUS = ("pyrad",)  # of the same
FOR_TOKENS = "pkcs11"  # the extra of this name
GOING_AWAY = 5.0  # seconds to wait for a device of a killed daemon; the kernel removes a thousand one by one
LOOK_AGAIN = 0.02  # seconds between two looks


def check(config: Config, control: Path) -> None:
    """Raise StartError if a daemon runs already, a device's name is taken, the two ports are
    the same, or a library is missing."""
    refuse_living(control)
    for key, text in (*missing_libraries(config), *unknown_impairments(config)):
        raise StartError(text, key=key)
    for connection in config.connections.values():
        if device_exists(connection.vti.name) and not is_tun(connection.vti.name):
            raise _taken(connection)
    if config.daemon.port == config.daemon.port_nat_t != 0:
        raise StartError("must differ from daemon.port", key="daemon.port_nat_t")


def missing_libraries(config: Config) -> Iterator[tuple[str, str]]:
    """What the configuration needs and is not installed with ikepy alone, as (key path, text)."""
    lacking = {word for word, modules in FOR_EAP.items() if _missing(modules)}
    for connection in config.connections.values() if lacking else ():
        yield from _missing_for_eap(connection, lacking)
    sections = (
        ("radius", config.radius, FOR_RADIUS, "eap"),
        ("daemon.http", config.daemon.http, FOR_HTTP, "http"),
    )
    for key, section, modules, extra in sections:
        if section is not None and (missing := _missing(modules)):
            yield (
                key,
                f"needs {' and '.join(missing)}, which this Python does not have: install ikepy with its "
                f"extra \"{extra}\" (in a clone: pip install '.[{extra}]'), or leave the section out",
            )


def _missing(modules: Iterable[str]) -> list[str]:
    return [name for name in modules if find_spec(name) is None]


def unknown_impairments(config: Config) -> Iterator[tuple[str, str]]:
    """Those asked for that are none, as (key path, text)."""
    if any((config.daemon.impairments, *(one.impairments for one in config.connections.values()))):
        from ikepy.impair.active import mistakes

        yield from mistakes(config)


def missing_for_tokens(config: Config) -> Iterator[tuple[str, str]]:
    """The same of keys in tokens, without which the daemon starts."""
    if find_spec(FOR_TOKENS) is None:
        for name in config.tokens:
            yield (
                f"secrets.{name}",
                "the key is not used: this Python does not have python-pkcs11: install ikepy with its extra "
                "\"pkcs11\" (in a clone: pip install '.[pkcs11]')",
            )


def _missing_for_eap(connection: Connection, lacking: Set[str]) -> Iterator[tuple[str, str]]:
    """`lacking`: the words of `auth` whose libraries are not here."""
    for side, auth in connection.ends.items():
        if auth.eap in lacking or auth.eap in ("eap", "eap-dynamic"):
            yield (
                f"connections.{connection.name}.{side}.auth",
                f'"{auth.eap}" needs libraries that this Python does not have: install ikepy with its extra '
                "\"eap\" (in a clone: pip install '.[eap]')",
            )


async def wait_for_devices(config: Config, stop: asyncio.Event) -> None:
    """Wait until the devices' names are free: the kernel removes those of a killed daemon one by one.

    Raises StartError for a device that stays.
    """
    clock, told = asyncio.get_running_loop().time, False
    for connection in config.connections.values():
        end = clock() + GOING_AWAY
        while device_exists(connection.vti.name) and not stop.is_set():
            if clock() >= end:
                raise _taken(connection)
            if not told:
                log.info("daemon", f"waiting for {connection.vti.name} of the last daemon to go away")
                told = True
            await asyncio.sleep(LOOK_AGAIN)


def _taken(connection: Connection) -> StartError:
    name, key = connection.vti.name, f"connections.{connection.name}.vti.name"
    what = "in use by another program" if is_tun(name) else "none of ikepy's"
    return StartError(f"a device {name} exists already, {what}: choose another name or remove it", key=key)


def is_tun(name: str) -> bool:
    """Whether the device is of the driver "tun", as ours are."""
    try:
        return link_driver(name) == "tun"
    except OSError:
        return False


def device_exists(name: str) -> bool:
    return device_index(name) is not None


def device_index(name: str) -> int | None:
    """The kernel's index of a device, None if there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None
