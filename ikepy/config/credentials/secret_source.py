"""Reads a pre-shared key from the text itself, a file, or the environment.

No message here repeats what was given, not even a file's name: it might be the secret in the wrong place.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from pathlib import Path

from pydantic import ValidationInfo

from ikepy.config import files_read
from ikepy.config.credentials import secrecy, wiped_variables
from ikepy.crypto.secret import Secret

MAX_FILE = 65536  # bytes; a larger file is hardly a pre-shared key
CODED = ("0x", "0s")
NOT_TEXT = "must be text in quotes"


class Written(Secret):
    """A secret that is what stands there, octet by octet: not hex digits or base64."""

    __slots__ = ()


def decode(text: str) -> Secret:
    """swanctl's three forms: 0x and hex digits, 0s and base64, else the text in UTF-8."""
    data = _decode(text)
    if not data:
        raise ValueError("the secret is empty")
    return Secret(data) if text.startswith(CODED) else Written(data)


def _decode(text: str) -> bytes:
    if text.startswith("0x"):
        digits = text[2:].replace(":", "")
        if not re.fullmatch(r"[0-9A-Fa-f]*", digits):
            raise ValueError('only hex digits may follow "0x"')
        return bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")  # as strongSwan pads it
    if text.startswith("0s"):
        padded = text[2:].rstrip("=")
        try:
            return b64decode(padded + "=" * (-len(padded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError('only base64 may follow "0s"') from None
    return text.encode("utf-8", "surrogateescape")


def from_text(value: object) -> Secret:
    """The key `secret`."""
    if not isinstance(value, str):
        raise ValueError(NOT_TEXT)
    return decode(value)


def from_file(value: object, info: ValidationInfo) -> Secret:
    """The key `secret_file`: other bytes than UTF-8 are fine.

    A byte order mark at the beginning and one line end (LF or CR LF) at the end are no part of the secret.

    A relative path starts at the directory of the configuration file.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a file's path in quotes")
    directory = info.context.get("directory") if isinstance(info.context, dict) else None
    path = Path(directory or ".") / value
    try:
        data, status = files_read.content(path, MAX_FILE)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError("there is no file of this name") from None
    except (IsADirectoryError, FileExistsError):
        raise ValueError("this is not a regular file") from None
    except OSError as error:
        raise ValueError(f"this file can't be read: {error.strerror}") from None
    data = data.removeprefix(secrecy.BYTE_ORDER_MARK).removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise ValueError("this file is empty")
    exposed = secrecy.exposure(status)
    if exposed is not None:
        _remark(info, exposed)
    try:
        return decode(data.decode())
    except UnicodeDecodeError:
        return Written(data)


def _remark(info: ValidationInfo, text: str) -> None:
    """Add a warning to the reader's list of remarks, if it keeps one."""
    remarks = info.context.get("remarks") if isinstance(info.context, dict) else None
    if remarks is not None:
        remarks.append(("secret_file", text))


def from_environment(value: object) -> Secret:
    """The key `secret_env`: the name of an environment variable, which `wiped_variables.wipe` takes away."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be the name of an environment variable, in quotes")
    text = wiped_variables.read(value)
    if text is None:
        raise ValueError("there is no environment variable of this name")
    return decode(text)
