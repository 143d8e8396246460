"""Field types of the model: they turn one element's ValueError into an error with the element's key path."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeVar, cast, get_args

from pydantic import PlainValidator, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from ikepy.config import values
from ikepy.config.auth_method import AuthMethod
from ikepy.config.auth_method import parse as parse_auth_method
from ikepy.config.identity import Identity
from ikepy.config.proposals import default_ike
from ikepy.config.proposals import parse as parse_proposals
from ikepy.wire.constants import ProtocolId
from ikepy.wire.proposal import Proposal

T = TypeVar("T")
Location = tuple[int | str, ...]

MIN_IPV4_MTU, MIN_IPV6_MTU, MAX_MTU = 576, 1280, 65535
MIN_FRAGMENT = 256  # an IP packet with less has hardly any room beside its headers


def problem(location: Location, text: str) -> InitErrorDetails:
    """One mistake. It never contains the value given, which might be a secret."""
    return InitErrorDetails(
        type=PydanticCustomError("ikepy", "{text}", {"text": text}), loc=location, input="hidden"
    )


def fail(problems: list[InitErrorDetails]) -> ValidationError:
    """The exception for several mistakes; inside a validator pydantic adds the outer key path to each."""
    return ValidationError.from_exception_data("configuration", problems)


def each(parse: Callable[[object], T], *, required: bool = False, most: int | None = None) -> PlainValidator:
    """A list whose elements `parse` validates; all mistakes are reported, each with its index.

    `required`: it must not be empty; `most`: how many elements it may have.
    """

    def validate(value: object) -> tuple[T, ...]:
        elements = values.listed(value)
        if required and not elements:
            raise ValueError("must not be empty")
        if most is not None and len(elements) > most:
            raise ValueError(f"allowed: at most {most}")
        found, problems = _collect(elements, parse)
        if problems:
            raise fail(problems)
        return tuple(found)

    return PlainValidator(validate)


def _collect(elements: list[object], parse: Callable[[object], T]) -> tuple[list[T], list[InitErrorDetails]]:
    found: list[T] = []
    problems: list[InitErrorDetails] = []
    for index, element in enumerate(elements):
        try:
            found.append(parse(element))
        except ValueError as error:
            problems.append(problem((index,), str(error)))
    return found, problems


def proposals(protocol: ProtocolId) -> PlainValidator:
    """A list of proposals; "default" stands for several: of an IKE_SA for those that its `pq` says."""

    def validate(value: object, info: ValidationInfo) -> tuple[Proposal, ...]:
        def one(element: object) -> tuple[Proposal, ...]:
            text = values.text(element)
            if protocol == ProtocolId.IKE and text.strip().lower() == "default":
                return default_ike(info.data.get("pq", "prefer"))
            return parse_proposals(text, protocol)

        elements = values.listed(value)
        if not elements:
            raise ValueError('must not be empty; allowed: "default", or algorithms like in the manual')
        found, problems = _collect(elements, one)
        if problems:
            raise fail(problems)
        return tuple(dict.fromkeys(proposal for several in found for proposal in several))

    return PlainValidator(validate)


def identity(value: object) -> Identity | None:
    """An identity; None for "%any"."""
    return Identity.parse(values.text(value))


def auth_method(value: object) -> AuthMethod:
    """A method of authentication with its constraints."""
    return value if isinstance(value, AuthMethod) else parse_auth_method(values.text(value))


def object_identifier(value: object) -> str:
    """An OID in dotted decimals."""
    text = values.text(value)
    if not re.fullmatch(r"[0-2](\.(0|[1-9][0-9]{0,18})){1,31}", text, re.ASCII):
        raise ValueError('allowed: an object identifier like "1.3.6.1.4.1.1"')
    return text


def choice(key: str, allowed: dict[str, str], later: dict[str, str] | None = None) -> PlainValidator:
    """One of the words in `allowed`, which maps each to its canonical form.

    `later` maps swanctl's words that ikepy does not support to the error text for each.
    """
    words = ", ".join(f'"{word}"' for word in dict.fromkeys(allowed.values()))

    def validate(value: object) -> str:
        word = str(value).strip().lower() if isinstance(value, str) else ""
        if later and word in later:
            raise ValueError(f'"{word}" {later[word]}; allowed: {words}')
        if word not in allowed:
            raise ValueError(f"unknown {key}; allowed: {words}")
        return allowed[word]

    return PlainValidator(validate)


def integer(first: int, last: int, unit: str = "") -> PlainValidator:
    """A whole number within bounds (inclusive)."""
    which = f"{first}" if first == last else f"a whole number from {first} to {last}"
    allowed = f"allowed: {which}" + (f" ({unit})" if unit else "")

    def validate(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
            raise ValueError(allowed)
        return value

    return PlainValidator(validate)


def number(first: float, last: float, unit: str = "") -> PlainValidator:
    """A number within bounds (inclusive)."""
    allowed = f"allowed: a number from {first:g} to {last:g}" + (f" ({unit})" if unit else "")

    def validate(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not first <= value <= last:
            raise ValueError(allowed)
        return float(value)

    return PlainValidator(validate)


def _fragment_size(value: object) -> int:
    size = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if size and not MIN_FRAGMENT <= size <= MAX_MTU:
        raise ValueError(
            f"allowed: {MIN_FRAGMENT}..{MAX_MTU} octets of an IP packet; 0: 576 over IPv4, 1280 over IPv6"
        )
    return size


fragment_size = PlainValidator(_fragment_size)

Action = Literal["none", "trap", "start"]
Childless = Literal["allow", "prefer", "force", "never"]
Redirect = Literal["configured", "follow", "never"]
Unique = Literal["no", "never", "keep", "replace"]
PostQuantum = Literal["require", "prefer", "off"]
Fragmentation = Literal["yes", "accept", "no"]
OcspUse = Literal["reply", "request", "both", "never"]
SendCert = Literal["always", "ifasked", "never"]
Revocation = Literal["strict", "ifuri", "relaxed"]
Ready = Literal["all", "any", "none"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
Sysctls = Literal["check", "set", "ignore"]
Subsystem = Literal["audit", "config", "control", "daemon", "device", "esp", "http", "ike", "net"]


def subsystem_level(value: object) -> tuple[Subsystem, LogLevel]:
    """ "ike=debug": a subsystem of the log and its level."""
    name, sign, level = (part.strip().lower() for part in values.text(value).partition("="))
    if not sign or name not in get_args(Subsystem) or level not in get_args(LogLevel):
        names, levels = ", ".join(get_args(Subsystem)), ", ".join(get_args(LogLevel))
        raise ValueError(f'allowed: like "ike=debug", of the subsystems {names} and the levels {levels}')
    return cast("Subsystem", name), cast("LogLevel", level)
