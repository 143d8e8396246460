"""What the options of `ikepy probe conformance` mean: the target, with its secret read from a file."""

from __future__ import annotations

import re
import shlex
import socket
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret
from ikepy.probe import credentials
from ikepy.probe.credentials import Credentials
from ikepy.probe.target import (
    ESP_SUITE,
    IKE_SUITE,
    Address,
    Encapsulation,
    Limits,
    Network,
    Target,
    esp_proposal,
    ike_proposal,
)

# Of the specification: Link Y and B over IPv6; over IPv4 those of `ikepy lab`.
_LOCAL_NET = {4: "10.1.0.0/24", 6: "2001:db8:f:2::/64"}
_REMOTE_NET = {4: "10.2.0.0/24", 6: "2001:db8:1:2::/64"}
_HOST = 15  # ...::f, as the specification numbers hosts
_MAX_SECRET = 4096  # octets
_SET_UPS = "config", "certificate", "rekey-child", "rekey-ike"
_TRIGGERS = "initiate", "stop", "new-child", "rekey-child", "rekey-ike", "delete-child", "delete-ike"


class OptionError(ValueError):
    """An option that can't be meant: its name, what is wrong, what is allowed."""


@dataclass(frozen=True, slots=True)
class Words:
    """The options as they were written; None where one was not."""

    host: str
    family: int | None = None
    source: str | None = None
    psk_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    local_id: str | None = None
    remote_id: str | None = None
    local_net: str | None = None
    remote_net: str | None = None
    local_host: str | None = None
    remote_host: str | None = None
    ike: str = IKE_SUITE
    esp: str = ESP_SUITE
    native: bool = False
    childless: bool = False
    ports: tuple[int, int, int, int] = (500, 4500, 500, 4500)  # the peer's, then ours
    identities: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()


def target(words: Words, limits: Limits) -> Target:
    """The target. OptionError for what can't be meant; OSError where a file or a name can't be read."""
    host = resolve(words.host, words.family)
    version = host.version
    local = _address("--source", words.source, version) if words.source else source_for(host)
    local_net = _network("--local-net", words.local_net or _LOCAL_NET[version], version)
    remote_net = _network("--remote-net", words.remote_net or _REMOTE_NET[version], version)
    _proposals(words)
    encapsulation: Encapsulation = "native" if words.native else "udp"
    return Target(
        host,
        local,
        _secret(words.psk_file),
        _identity("--local-id", words.local_id or str(local)),
        _identity("--remote-id", words.remote_id or str(host)),
        local_net,
        remote_net,
        _address("--local-host", words.local_host, version)
        if words.local_host
        else local_net.network_address + min(_HOST, local_net.num_addresses - 1),
        _address("--remote-host", words.remote_host, version) if words.remote_host else None,
        ike=words.ike,
        esp=words.esp,
        encapsulation=encapsulation,
        childless=words.childless,
        port=words.ports[0],
        nat_port=words.ports[1],
        local_port=words.ports[2],
        local_nat_port=words.ports[3],
        limits=limits,
        credentials=_credentials(words),
        identities=dict(map(_set_up, words.identities)),
        triggers=dict(map(_trigger, words.triggers)),
    )


def resolve(host: str, family: int | None) -> Address:
    """The first address of a host. OptionError if it has none, or none of a single host, and for addresses
    that are cut short, which the resolver would fill up: 10.1 may be a slip, and 10.0.0.1 a stranger."""
    if re.fullmatch(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*", host, re.IGNORECASE):
        try:
            ip_address(host)
        except ValueError:
            raise OptionError(f"{host} is no complete address; name a host or an address") from None
    wanted = {4: socket.AF_INET, 6: socket.AF_INET6, None: socket.AF_UNSPEC}[family]
    try:
        found = socket.getaddrinfo(host, None, wanted, socket.SOCK_DGRAM)
    except OSError as error:
        raise OptionError(f"{host}: {error.strerror or error}; name a host or an address") from None
    except UnicodeError:  # a label that is empty or too long (RFC 5891 4.4)
        raise OptionError(f"{host} is no host's name; name a host or an address") from None
    address = ip_address(str(found[0][4][0]))
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise OptionError(f"{host}: {address} is no single host")
    return address


def source_for(host: Address) -> Address:
    """Our address from which packets go to a host. OSError without a route."""
    family = socket.AF_INET if host.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((str(host), 500))
        return ip_address(sock.getsockname()[0])


def _secret(file: Path | None) -> Secret:
    """Of the file's text, or of its hexadecimal digits behind 0x. Empty without a file: nothing is sent."""
    if file is None:
        return Secret(b"")
    with file.open("rb") as opened:
        text = opened.read(_MAX_SECRET + 1).strip()
    if not text or len(text) > _MAX_SECRET:
        raise OptionError(
            f"--psk-file: {file} has no secret; allowed: 1 to {_MAX_SECRET} octets of text, or 0x"
        )
    if text[:2].lower() != b"0x":
        return Secret(text)
    try:
        return Secret(bytes.fromhex(text[2:].decode()))
    except ValueError:
        raise OptionError(f"--psk-file: what {file} has behind 0x are no hexadecimal digits") from None


def _credentials(words: Words) -> Credentials | None:
    files = words.cert, words.key, words.ca
    if files == (None, None, None):
        return None
    if words.cert is None or words.key is None or words.ca is None:
        raise OptionError("--cert, --key and --ca go together")
    try:
        return credentials.read(words.cert, words.key, words.ca)
    except ValueError as error:
        raise OptionError(str(error)) from None


def _proposals(words: Words) -> None:
    try:
        ike_proposal(words.ike)
    except ValueError as error:
        raise OptionError(f"--ike: {error}") from None
    try:
        esp_proposal(words.esp, bytes(4))
    except ValueError as error:
        raise OptionError(f"--esp: {error}") from None


def _identity(option: str, text: str) -> Identity:
    try:
        identity = Identity.parse(text)
    except ValueError as error:
        raise OptionError(f"{option}: {error}") from None
    if identity is None or identity.is_pattern:
        raise OptionError(f"{option}: {text!r} is not one identity; allowed: an address, a name, ...")
    return identity


def _set_up(text: str) -> tuple[str, Identity]:
    name, equals, identity = text.partition("=")
    if not equals or name not in _SET_UPS:
        raise OptionError(f"--identity: {text!r} is not NAME=ID; names: {', '.join(_SET_UPS)}")
    return name, _identity("--identity", identity)


def _trigger(text: str) -> tuple[str, list[str]]:
    name, equals, command = text.partition("=")
    if not equals or name not in _TRIGGERS or not command.strip():
        raise OptionError(f"--trigger: {text!r} is not NAME=COMMAND; names: {', '.join(_TRIGGERS)}")
    try:
        return name, shlex.split(command)
    except ValueError as error:
        raise OptionError(f"--trigger: {text!r}: {error}") from None


def _address(option: str, text: str, version: int) -> Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise OptionError(f"{option}: {text!r} is no address") from None
    if address.version != version:
        raise OptionError(f"{option}: {address} is not of IPv{version}, as the host is")
    return address


def _network(option: str, text: str, version: int) -> Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise OptionError(f"{option}: {error}") from None
    if network.version != version or network.prefixlen == 0:
        raise OptionError(f"{option}: {network} is no network of IPv{version} with a prefix")
    return network
