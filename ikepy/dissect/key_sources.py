"""Takes keys from what a user names: one of Wireshark's tables, our own file, or a directory of them."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from pathlib import Path

from ikepy.dissect import keyfile, keytables
from ikepy.dissect.keys import Keys
from ikepy.errors import ConfigError

MAX_FILE = 128 << 20  # octets
_NAMES = (keytables.IKE_TABLE, keytables.ESP_TABLE, keyfile.NAME)


def take(path: Path, into: Keys) -> None:
    """Add the keys of a file, which says by its content what it is, or of a directory as `keylog_dir` or
    the cases of `ikepy probe conformance --out` have it.

    ConfigError if there are none, or a line is no row of a table.
    """
    tables = _tables_in(path)
    if tables is not None:
        if not tables:
            told = f"has no tables of keys; allowed: {', '.join(_NAMES)}, also behind a name and a dot"
            raise ConfigError(path, [("", told)])
        for one in tables:
            take(one, into)
        return
    text = _text(path)
    _, first = next(keytables.lines(text), (0, ""))
    if first.startswith("{"):
        keyfile.read(text, into, path)
    elif first.startswith('"IPv'):
        for esp in keytables.read_esp(text, path):
            into.add_esp(esp)
    else:
        for ike in keytables.read_ike(text, path):
            into.add_ike(ike)


def _tables_in(path: Path) -> list[Path] | None:
    """The tables in a directory; None if the path is no directory's. ConfigError if it can't be looked at."""
    try:
        return sorted(filter(_is_a_table, path.iterdir())) if path.is_dir() else None
    except OSError as error:
        raise ConfigError(path, [("", f"{error.strerror}")]) from None


def _is_a_table(path: Path) -> bool:
    """Whether it is a file with a name of ours, or one of a case: `SGW.R.1.1.1.1.A.esp_sa`."""
    named = path.name in _NAMES or path.name.endswith(tuple(f".{name}" for name in _NAMES))
    return named and path.is_file()


def take_comment(text: str, into: Keys) -> None:
    """Add what a capture has in a comment of ours; any other comment means nothing."""
    if text.startswith("{"):
        try:
            keyfile.read(text, into)
        except ConfigError:
            return


def take_esp(path: Path, into: Keys) -> None:
    """Add the keys of an `esp_sa`. ConfigError as `take`."""
    for esp in keytables.read_esp(_text(path), path):
        into.add_esp(esp)


def psks(path: Path) -> list[bytes]:
    """What a file with a preshared key may mean: its octets, those without a line end, 0x and 0s as in
    swanctl.conf.

    ConfigError if it can't be read, or is empty.
    """
    data = _octets(path)
    bare = data.removesuffix(b"\n").removesuffix(b"\r")
    found = [data, bare]
    try:
        if bare[:2] in (b"0x", b"0X"):
            found.append(bytes.fromhex(bare[2:].decode("ascii")))
        elif bare[:2] in (b"0s", b"0S"):
            found.append(b64decode(bare[2:], validate=True))
    except (ValueError, Error):
        pass
    if not bare:
        raise ConfigError(path, [("", "is empty; a preshared key is expected")])
    return list(dict.fromkeys(found))


def _text(path: Path) -> str:
    return _octets(path).decode("utf-8", "replace")


def _octets(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(path, [("", f"{error.strerror}")]) from None
    if len(data) > MAX_FILE:
        raise ConfigError(path, [("", f"has more than {MAX_FILE} octets")])
    return data
