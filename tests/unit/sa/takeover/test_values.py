"""ikepy.sa.takeover.values: what each field takes, and what none does."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret
from ikepy.sa.takeover.values import (
    ExportedPath,
    ExportedRequest,
    ExportedWindow,
    IdentityField,
    Key,
    ProposalField,
    SelectorField,
)
from ikepy.wire.proposal import Proposal, Transform

PROPOSAL = Proposal(1, 3, b"spi4", (Transform(1, 20, 128), Transform(5, 0)))


def read(kind: Any, text: str) -> Any:
    return TypeAdapter(kind).validate_json(text)


def test_fields_in_their_own_form() -> None:
    assert read(Key, '"00ff"') == Secret(b"\0\xff")
    assert read(IdentityField, '"02677761"') == Identity(2, b"gwa")
    assert read(ProposalField, f'"{PROPOSAL.encode(more=False).hex()}"') == PROPOSAL
    assert read(SelectorField, "[4,167772160,184549375,0,0,65535]") == Selector.of("10.0.0.0/8")
    opaque = read(SelectorField, "[6,0,1,17,65535,0]")
    assert (opaque.first_port, opaque.last_port) == (65535, 0)  # RFC 4301 4.4.1.1


@pytest.mark.parametrize(
    "numbers",
    [
        "[5,0,0,0,0,0]",
        "[4,1,0,0,0,0]",
        "[4,0,4294967296,0,0,0]",
        "[4,-1,0,0,0,0]",
        "[4,0,0,256,0,0]",
        "[4,0,0,-1,0,0]",
        "[4,0,0,0,65536,0]",
        "[4,0,0,0,0,-1]",
        "[4,0,0,0,0]",
        "[4,0,0,0,0,0,0]",
        "[4,0,0,0,0,true]",
        "[4,0,0,0,0,0.5]",
        '"10.0.0.0/8"',
    ],
)
def test_impossible_selectors(numbers: str) -> None:
    with pytest.raises(ValidationError):
        read(SelectorField, numbers)


@pytest.mark.parametrize("octets", ["", "00" * 1026, "0", "zz"])
def test_impossible_identities(octets: str) -> None:
    with pytest.raises(ValidationError):
        read(IdentityField, f'"{octets}"')


@pytest.mark.parametrize(
    "change",
    [
        lambda octets: octets[:-1],
        lambda octets: octets + b"\0",
        lambda octets: b"\2" + octets[1:],  # another one follows
        lambda octets: b"",
    ],
)
def test_impossible_proposals(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValidationError):
        read(ProposalField, f'"{change(PROPOSAL.encode(more=False)).hex()}"')


def test_keys_have_a_limit_and_are_not_shown() -> None:
    with pytest.raises(ValidationError):
        read(Key, f'"{"00" * 513}"')
    with pytest.raises(ValidationError):
        read(Key, "17")
    assert "00ff" not in repr(read(Key, '"00ff"'))


def test_who_builds_a_value_is_held_to_the_limits_too() -> None:
    address, selector = IPv4Address("192.0.2.1"), Selector.of("10.0.0.0/8")
    with pytest.raises(ValidationError):
        ExportedPath(address, 65536, address, 500)
    with pytest.raises(ValidationError):
        ExportedWindow(0, 1, 0, 65, ())
    with pytest.raises(ValidationError):
        ExportedRequest("net", float("nan"), None, None, False)
    with pytest.raises(ValidationError):
        ExportedRequest("net", 0.0, None, ((selector,) * 256, (selector,)), False)
