"""Checks of a configuration that need this machine, for `ikepy check`: devices, routes, private keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from ikepy.config import files
from ikepy.config.credentials.private_keys import kind_of
from ikepy.config.model import Config, Connection
from ikepy.crypto import private_keys
from ikepy.crypto.x509.certificate import certificate
from ikepy.daemon.checks import (
    device_exists,
    is_tun,
    missing_for_tokens,
    missing_libraries,
    unknown_impairments,
)
from ikepy.daemon.control.control_socket import refuse_living
from ikepy.daemon.credentials.identity_match import proves
from ikepy.daemon.device import sysctls
from ikepy.daemon.device.route_exclusion import around, hole
from ikepy.daemon.errors import StartError
from ikepy.daemon.interfaces import NetworkConfig
from ikepy.daemon.net.served_addresses import turned_round
from ikepy.sa.auth import words
from tun.netlink import RouteError

RT_TABLE_MAIN = 254  # linux/rtnetlink.h
Problems = Iterator[tuple[str, str]]

NO_KEY = (
    "{}: none of the private keys here is this certificate's: it can't prove who we are before VICI loads "
    "its key; put that into the directory private beside this file, or name it in [secrets.private-NAME]"
)
NOT_OURS = (
    "{} does not prove that we are {}, and is not used: neither an alternative name of it nor its subject is "
    "that; set {}.id to one of these (ikepy pki print shows them), or have another certificate issued"
)


def mistakes(config: Config) -> Problems:
    """What `ikepy run` would refuse, as (key path, text)."""
    yield from missing_libraries(config)
    yield from unknown_impairments(config)
    for connection in config.connections.values():
        name = connection.vti.name
        if device_exists(name) and not is_tun(name):
            yield (
                f"connections.{connection.name}.vti.name",
                f"{name} exists on this machine and is none of ikepy's devices; allowed: a free name, "
                'like "vti0"',
            )


def remarks(config: Config, network: NetworkConfig) -> list[tuple[str, str]]:
    """What `ikepy run` would warn of, or perhaps refuse, as (key path, text)."""
    found = [] if _is_running(config) else list(_taken(config))
    if config.daemon.sysctls == "check":
        found += [("daemon.sysctls", text) for text in sysctls.words(sysctls.lacking(config))]
    with suppress(RouteError, OSError):  # of a sandbox that may not ask the kernel
        found += turned_round(config, network.local_addresses())
    for connection in config.connections.values():
        found += _on_link(connection, network)
    key_ids: set[str] = set()
    return [
        *found,
        *missing_for_tokens(config),
        *_unusable_keys(config, key_ids),
        *_unusable_certificates(config, key_ids),
    ]


def _is_running(config: Config) -> bool:
    try:
        refuse_living(config.daemon.socket)
    except (StartError, OSError):
        return True
    return False


def _unusable_keys(config: Config, key_ids: set[str]) -> Problems:
    """Files with private keys that the signer will not load: it is not asked, as no daemon need run.

    The others' ids are added to `key_ids`.
    """
    for name, key in config.private_keys.items():
        password = None if key.password is None else key.password.expose()
        path = name if "/" in name else f"secrets.{name}.file"  # of a directory, or of a section
        try:
            with files.open_file(key.path) as file:
                data = bytearray(file.read(private_keys.MAX_FILE + 1))
            key_ids.add(private_keys.load(data, kind_of(name) or "private", password).key_id)
        except OSError as error:
            yield path, f"{key.path}: this file can't be read: {error.strerror}"
        except ValueError as error:
            yield path, f"{key.path}: the private key will not be loaded: {error}"
        else:
            data[:] = bytes(len(data))


def _unusable_certificates(config: Config, key_ids: set[str]) -> Problems:
    """Certificates that are to prove who we are and can't: for their names, or for want of a private key.

    `key_ids`: of the keys in files; where there are tokens, these may have the others.
    """
    for connection in config.connections.values():
        for side, auth in (("local", connection.local), ("local2", connection.local2)):
            if auth is None:
                continue
            of_side = f"connections.{connection.name}.{side}"
            for index, der in enumerate(auth.certs):
                one, key = certificate(der), f"{of_side}.certs[{index}]"
                if one.key_id not in key_ids and not config.tokens:
                    yield key, NO_KEY.format(one)
                if not (auth.eap or auth.id is None or proves(one, auth.id)):
                    yield key, NOT_OURS.format(one, words.identity(auth.id), of_side)


def _taken(config: Config) -> Problems:
    for connection in config.connections.values():
        if device_exists(connection.vti.name):
            yield (
                f"connections.{connection.name}.vti.name",
                f"a TUN device {connection.vti.name} exists, and no ikepy answers on {config.daemon.socket}: "
                "if another program has it, the start is refused; take another name",
            )


def _on_link(connection: Connection, network: NetworkConfig) -> Problems:
    """Routes of which nothing is left without the peer's address (`ikepy.daemon.device.route_exclusion`)."""
    vti = connection.vti
    for index, configured in enumerate(vti.routes or ()):
        route = configured.to
        if (configured.table or vti.table) not in (None, RT_TABLE_MAIN):
            continue
        for remote in connection.remote_addrs:
            if not isinstance(remote, IPv4Address | IPv6Address) or remote not in route:
                continue
            try:
                best = network.best_route(remote)
            except OSError:
                best = None
            if around(route, [hole(route, remote, best)]):
                continue
            linked = f", and {best.network} is on our own link" if best is not None and best.on_link else ""
            yield (
                f"connections.{connection.name}.vti.routes[{index}]",
                f"holds the peer's own address {remote}{linked}: IKE and ESP packets must not enter the "
                "tunnel, so that it gets no route at all; allowed: networks behind the peer",
            )
