"""Reads the arguments of VICI's commands, which are text all of them."""

from __future__ import annotations

from ikepy.daemon.vici.message import Decoded, ViciError

LARGEST = 2**32 - 1
YES = frozenset({"yes", "true", "1", "enabled"})
NO = frozenset({"no", "false", "0", "disabled", ""})


def text(arguments: Decoded, key: str) -> str | None:
    """The value of a key; None if it is absent. Raises ViciError for a section or list, and for no UTF-8."""
    value = arguments.get(key)
    if value is None:
        return None
    if not isinstance(value, bytes):
        raise ViciError(f"{key} must be a value, not a list or a section")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ViciError(f"{key} must be UTF-8") from None


def texts(arguments: Decoded, key: str) -> list[str]:
    """The elements of a list; none if it is absent. Raises ViciError for anything else, and for no UTF-8."""
    value = arguments.get(key, [])
    if not isinstance(value, list):
        raise ViciError(f"{key} must be a list")
    try:
        return [element.decode() for element in value]
    except UnicodeDecodeError:
        raise ViciError(f"{key} must be UTF-8") from None


def number(arguments: Decoded, key: str) -> int | None:
    """A whole number, at least -1."""
    word = text(arguments, key)
    if word is None:
        return None
    digits = word.removeprefix("-")
    significant = digits.lstrip("0") or "0"
    if digits.isascii() and digits.isdigit() and len(significant) <= len(str(LARGEST)):
        value = -int(significant) if word.startswith("-") else int(significant)
        if -1 <= value <= LARGEST:
            return value
    raise ViciError(f"{key} must be a whole number from -1 to {LARGEST}")


def boolean(arguments: Decoded, key: str) -> bool:
    word = (text(arguments, key) or "").lower()
    if word not in YES | NO:
        raise ViciError(f"{key} must be yes or no")
    return word in YES


def unknown(arguments: Decoded, allowed: tuple[str, ...]) -> None:
    """Raises ViciError for a key that a command does not have: it would be ignored, and not be meant so."""
    for key in arguments:
        if key not in allowed:
            raise ViciError(f"there is no argument {key[:40]!r}; allowed: {', '.join(allowed) or 'none'}")
