"""Private keys that the configuration names: files, with their passwords, and keys in PKCS#11 tokens.

They are swanctl.conf's sections secrets.private*, rsa*, ecdsa*, pkcs8*, pkcs12* and token*. Nothing here
reads a key: files are opened for the process that signs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, Field, PlainValidator, ValidationInfo, model_validator

from ikepy.config import fields, files, files_read, values
from ikepy.config.credentials import secrecy, secret_source
from ikepy.config.credentials.credential_files import files_of
from ikepy.config.section import Section
from ikepy.crypto.secret import Secret

# How the names of sections of key files begin, and what the directories beside the configuration file are.
KINDS = ("private", "rsa", "ecdsa", "pkcs8", "pkcs12")
TOKEN = "token"  # how those of keys in tokens begin
MAX_FILES = 4096  # of one directory
HANDLE_DIGITS = 512


def kind_of(name: str) -> str | None:
    """The kind of key that a section of this name is of; None if it is none of a key's file."""
    return next((kind for kind in sorted(KINDS, key=len, reverse=True) if name.startswith(kind)), None)


def in_directories(
    beside: Path, named: Iterable[KeyFile], tell: Callable[[str, str], None]
) -> dict[str, KeyFile]:
    """The files in the directories of private keys beside a configuration file, but for those `named`: keys
    without a password need no section. Each has a name that begins with its directory's.

    `tell`: is told each that others may read, by its name. Raises ConfigError as `files_of`.
    """
    known = {one.path for one in named}
    found: dict[str, KeyFile] = {}
    for kind in KINDS:
        for path in map(Path, files_of(beside / kind)[:MAX_FILES]):
            if path not in known:
                name = f"{kind}/{path.name}"
                found[name] = KeyFile.model_construct(path=path)
                exposed = _exposure(path)
                if exposed is not None:
                    tell(name, exposed)
    return found


def _exposure(path: Path) -> str | None:
    try:
        return secrecy.exposure(path.stat())
    except OSError:
        return None  # whoever opens it tells


def _path(value: object, info: ValidationInfo) -> Path:
    """A file that can be opened now. What can't be is not repeated: it may be a secret in the wrong place."""
    text = values.text(value)
    if not text or "\0" in text:
        raise ValueError("must be a file's path in quotes")
    if "-----BEGIN" in text or "\n" in text:
        raise ValueError("must be a file's path, not the key itself")
    context = info.context if isinstance(info.context, dict) else {}
    directory = Path(context.get("directory") or ".").absolute()
    kind = kind_of(str(context.get("name", "")))
    paths = [directory / text] if kind is None else [directory / kind / text, directory / text]
    for path in paths:
        files_read.note_file(path, None)
        try:
            with files.open_file(path) as file:
                status = os.fstat(file.fileno())
        except OSError as error:
            if path is not paths[-1] and not isinstance(error, PermissionError):
                continue
            tried = ", ".join(str(one.parent) for one in paths[: paths.index(path) + 1])
            raise ValueError(f"this file can't be read: {error.strerror} (in {tried})") from None
        break
    files_read.note_file(path, status)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"this is not a regular file ({path})")
    exposed = secrecy.exposure(status)
    if exposed is not None:
        context.get("remarks", []).append(("file", exposed))
    return path


def _handle(value: object) -> str:
    text = values.text(value).lower().removeprefix("0x").replace(":", "")
    if not text or len(text) > HANDLE_DIGITS or len(text) % 2 or set(text) - set("0123456789abcdef"):
        raise ValueError("no key's ID (CKA_ID) in a token; allowed: pairs of hex digits")
    return text


class KeyFile(Section):
    """A file with a private key. At most one of `secret`, `secret_file`, `secret_env`: its password."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    path: Annotated[Path, PlainValidator(_path)] = Field(alias="file")
    text: Annotated[Secret | None, PlainValidator(secret_source.from_text)] = Field(None, alias="secret")
    password_file: Annotated[Secret | None, PlainValidator(secret_source.from_file)] = Field(
        None, alias="secret_file"
    )
    environment: Annotated[Secret | None, PlainValidator(secret_source.from_environment)] = Field(
        None, alias="secret_env"
    )

    @model_validator(mode="after")
    def _at_most_one_password(self) -> Self:
        if len(self._given()) > 1:
            raise ValueError("at most one of secret, secret_file, secret_env may be given: the password")
        return self

    def _given(self) -> list[Secret]:
        return [one for one in (self.text, self.password_file, self.environment) if one is not None]

    @property
    def password(self) -> Secret | None:
        """The password, None without one."""
        return next(iter(self._given()), None)


class TokenKey(Section):
    """A private key in a PKCS#11 token. `slot` None: whichever has it; `handle`: its CKA_ID, hex digits."""

    handle: Annotated[str, PlainValidator(_handle)]
    module: Annotated[Path, PlainValidator(values.absolute_path)]
    slot: Annotated[int | None, fields.integer(0, 2**32 - 1, "slot")] = None
    pin: Annotated[Secret | None, PlainValidator(secret_source.from_text)] = None
