"""Parses ipsec.secrets: `[ID…] : PSK SECRET`, `: RSA FILE PASSWORD`, ..., one an entry (ipsec.secrets(5))."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from ikepy.config import files, files_read
from ikepy.config.sources.draft import Draft, Lost, Origin
from ikepy.config.sources.ipsec_conn import directory
from ikepy.config.sources.place import Place, failure, included, read_file
from ikepy.config.toml_source import Table

MAX_INCLUDES = 10
# Kinds of entries, each with how the names of our sections begin: secrets, and files with private keys.
SHARED = {"PSK": "ike", "EAP": "eap", "NTLM": "ntlm"}
KEYS = {"RSA": "rsa", "ECDSA": "ecdsa", "PKCS8": "pkcs8", "P12": "pkcs12"}
OTHERS = ("BLISS", "XAUTH", "PPK", "PASS")
ALLOWED = f"allowed: {', '.join((*SHARED, *KEYS))}"
PROMPT = "%prompt"
NO_TOKEN = (
    "keys in tokens need the file of the PKCS#11 module, which strongswan.conf has: write "
    "[secrets.token-NAME] with module, handle and pin in TOML; remove it"
)
_ENTRY = re.compile(r"(?:(.*?)\s)??\s*:\s*([A-Za-z0-9]+)\b\s*(.*)", re.DOTALL)
_ID = re.compile(r'"([^"]*)"|(\S+)')
_PIECE = re.compile(r"\"[^\"]*\"|'[^']*'|.", re.DOTALL)
_FILE = re.compile(r"(?:\"([^\"]*)\"|([^\s\"{]\S*))(?:\s+(.*))?", re.DOTALL)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")


def beside(path: Path, draft: Draft) -> Table:
    """The secrets that belong to the ipsec.conf at `path`: /etc/ipsec.secrets to /etc/ipsec.conf.

    Those of X.config.d/a.conf, as the pod's image has it, are in X.secrets.d/a.secrets.
    """
    file = path.with_suffix(".secrets")
    if path.parent.name.endswith(".config.d"):
        other = path.parent.with_name(path.parent.name.removesuffix(".config.d") + ".secrets.d") / file.name
        file = other if _is_there(other) else file
    if not _is_there(file):
        text = f"there is no {file}: make it, with the secrets and the names of private keys"
        draft.refused.append(Lost("secrets", Place(str(path), 0), text))
        return {}
    table: Table = {}
    _read(file, table, draft, None, 0)
    return table


def _is_there(path: Path) -> bool:
    """If it is not, that is noted: it may come. Where we may not look it counts as there: reading tells."""
    files_read.note_file(path, None)
    try:
        files.open_file(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(file: Path, table: Table, draft: Draft, named_at: Place | None, nested: int) -> None:
    text, exposed = read_file(file, named_at)
    for place, line in _entries(file, text):
        include = re.fullmatch(r"include\s+(\S.*)", line)
        if include is not None:
            if nested >= MAX_INCLUDES:
                raise failure(place, "include", f"files include each other too deeply: over {MAX_INCLUDES}")
            for other in included(file, include[1].strip().strip('"'), place):
                _read(other, table, draft, place, nested + 1)
            continue
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            raise failure(place, "", 'not an entry; allowed: ID ID : PSK "secret", : RSA FILE "password"')
        kind = entry[2].upper()
        if kind in OTHERS:
            remark = f"secrets of the kind {kind} are not supported by ikepy: it is left out; remove it"
            draft.remarks.append(Lost(f"line {place.line}, {kind}", place, remark))
            continue
        if kind == "PIN":
            draft.refused.append(Lost(f"line {place.line}, {kind}", place, NO_TOKEN))
            continue
        if kind in KEYS:
            holds_secret = _add_key(table, draft, place, kind, entry[3].strip())
        elif kind in SHARED:
            _add(table, draft, place, kind, entry[1] or "", entry[3].strip())
            holds_secret = True
        else:
            raise failure(place, "", f"unknown kind of secret; {ALLOWED}")
        if not holds_secret:
            continue
        if exposed is not None:
            draft.remarks.append(
                Lost(f"line {place.line}, {kind}", place, f"this file holds secrets, and {exposed}")
            )
            exposed = None


def _entries(file: Path, text: str) -> Iterator[tuple[Place, str]]:
    """Entries with their lines: one begins at the left margin, and indented lines belong to it."""
    begun: tuple[Place, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        content = _uncommented(line)
        if not content.strip():
            continue
        if begun is not None and line[0].isspace():
            begun = begun[0], f"{begun[1]} {content.strip()}"
            continue
        if begun is not None:
            yield begun
        begun = Place(str(file), number), content.strip()
    if begun is not None:
        yield begun


def _uncommented(line: str) -> str:
    """A line without its comment: "#" at the beginning or behind a space, outside of quotes."""
    for match in _PIECE.finditer(line):
        at = match.start()
        if match[0] == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at]
    return line


def _add(table: Table, draft: Draft, place: Place, kind: str, ids: str, secret: str) -> None:
    entry = _entry(table, draft, place, kind, SHARED[kind])
    entry["secret"] = _secret(secret, place, kind)
    found = [one[1] or one[2] for one in _ID.finditer(ids)]
    if found:
        entry["ids"] = found


def _add_key(table: Table, draft: Draft, place: Place, kind: str, written: str) -> bool:
    """A file with a private key, and its password; whether there is one. charon knows no owner of a key."""
    match = _FILE.fullmatch(written)
    if match is None:
        allowed = (
            f'allowed: the name of a file in ipsec.d/private, and its password, as in {kind} gw.key "text"'
        )
        raise failure(place, kind, f"there is no file of a private key; {allowed}")
    name, password = match[1] or match[2], match[3]
    if password == PROMPT:
        text = "nobody is asked for a password: write it in place of %prompt, between quotes"
        draft.refused.append(Lost(f"line {place.line}, {kind}", place, text))
        return False
    entry = _entry(table, draft, place, kind, KEYS[kind])
    entry["file"] = name if name.startswith("/") else f"{directory(draft.path)}/private/{name}"
    if password:
        entry["secret"] = _secret(password, place, kind)
    return bool(password)


def _entry(table: Table, draft: Draft, place: Place, kind: str, prefix: str) -> Table:
    """A section of ours, with a number behind its kind."""
    number = 1 + sum(name.startswith(f"{prefix}-") for name in table)
    draft.origins[f"secrets.{prefix}-{number}"] = Origin(f"line {place.line}, {kind}", place)
    entry: Table = {}
    table[f"{prefix}-{number}"] = entry
    return entry


def _secret(written: str, place: Place, kind: str) -> str:
    try:
        return as_key(written)
    except ValueError as error:
        raise failure(place, kind, str(error)) from None


def as_key(written: str) -> str:
    """The value of our key `secret` for what stands behind PSK; between quotes it is text, even 0x and 0s.

    ValueError if a quote is not closed, or something stands behind the secret.
    """
    quoted = _QUOTED.fullmatch(written)
    if quoted is None:
        if written.startswith(('"', "'")) or len(written.split()) > 1:
            raise ValueError(
                'the secret ends neither with its quote nor with the line; allowed: PSK "secret"'
            )
        return f"{written[:2].lower()}{written[2:]}" if written[:2] in ("0X", "0S") else written
    text = quoted[1] if quoted[1] is not None else quoted[2]
    if not text.startswith(("0x", "0s")):
        return text
    return f"0s{b64encode(text.encode('utf-8', 'surrogateescape')).decode()}"
