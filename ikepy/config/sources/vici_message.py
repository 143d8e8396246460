"""Reads connections that come by VICI: their sections are those that swanctl.conf has in `connections`.

`swanctl --load-conns` sends what its file says, a list as a list, and certificates as what their files hold.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import TypeAlias, Union

from ikepy.config.layers import Layers
from ikepy.config.sources import swanctl
from ikepy.config.sources.place import Place, Value
from ikepy.config.sources.settings import Section
from ikepy.config.toml_source import Reading
from ikepy.crypto.x509 import certificate, encoding, public_key
from ikepy.errors import ConfigError

SOURCE = "VICI"  # what errors call it
Tree: TypeAlias = Mapping[str, Union[bytes, list[bytes], "Tree"]]
Path = tuple[str, ...]

# Lists of what files hold, and what it is in PEM.
BINARY = {"certs": "CERTIFICATE", "cacerts": "CERTIFICATE", "pubkeys": "PUBLIC KEY"}
LABELS = {"CERTIFICATE": certificate.LABELS, "PUBLIC KEY": public_key.LABELS}
LISTS = swanctl.LISTS | BINARY.keys() | {"ah_proposals", "groups", "cert_policy"}
CERTIFICATES = ("cert", "cacert")  # sections with a `file`
OURS = frozenset(swanctl.OURS_OF_A_CONNECTION)  # whose keys may all be lists: charon does not know them
SECTIONS = frozenset({"local", "remote", "children"}) | OURS


def read(tree: Tree, layers: Layers) -> Reading:
    """The connections of a message of load-conn, to be put over `layers`. Raises ConfigError.

    It is not held against other connections, nor against secrets and pools, which may come later.
    """
    problems: list[tuple[str, str]] = []
    connections = _section(tree, ("connections",), problems)
    problems += [(f"connections.{name}", "must be a section") for name in connections.values]
    if problems:
        raise ConfigError(SOURCE, problems)
    root = Section(Place(SOURCE, 0), sections={"connections": connections})
    devices = {name: one.vti.name for name, one in layers.merged().connections.items()}
    taken = {device for name, device in devices.items() if name not in tree}
    draft = swanctl.draft_of(SOURCE, root, taken, devices)
    daemon = layers.file.daemon
    used = ("port", "port_nat_t", "impairments_allowed")
    draft.table["daemon"] = {key: getattr(daemon, key) for key in used}
    return draft.read({"secrets", "pools"})


def _section(tree: Tree, path: Path, problems: list[tuple[str, str]]) -> Section:
    section = Section(Place(SOURCE, 0))
    for name, value in tree.items():
        where = (*path, name)
        if not name.isprintable():
            problems.append((".".join(path), "holds a name with characters that can't be printed"))
            continue
        if isinstance(value, Mapping):
            section.sections[name] = _section(value, where, problems)
            continue
        try:
            section.values[name] = Value(_text(value, where), Place(SOURCE, 0))
        except ValueError as error:
            problems.append((".".join(where), str(error)))
    return section


def _text(value: bytes | list[bytes], path: Path) -> str | None:
    """What stands in the file for a value or list; None for an empty list, which leaves the default."""
    name = path[-1]
    of_ours = not OURS.isdisjoint(path[:-1])
    if name in SECTIONS and not of_ours:
        raise ValueError("must be a section")
    if isinstance(value, bytes) and name == "file" and len(path) > 1 and path[-2].startswith(CERTIFICATES):
        return _pem(value, "CERTIFICATE")
    if isinstance(value, bytes):
        if name in LISTS:
            raise ValueError("must be a list")
        return _decoded(value)
    if name not in LISTS and not of_ours:
        raise ValueError("must be a value, not a list")
    if name in BINARY:
        return ", ".join(_pem(one, BINARY[name]) for one in value) or None
    return ", ".join(_items(value)) or None


def _pem(data: bytes, label: str) -> str:
    """What a file held, as PEM without what stands around it: commas, too. ValueError."""
    content = encoding.der(data, len(data), *LABELS[label])
    return f"-----BEGIN {label}-----\n{b64encode(content).decode()}\n-----END {label}-----\n"


def _items(value: list[bytes]) -> Iterator[str]:
    for item in value:
        text = _decoded(item)
        if "," in text:
            raise ValueError('an item of a list can\'t hold ","')
        yield text


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 text") from None
