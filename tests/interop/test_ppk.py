"""Postquantum preshared keys with a real strongSwan, in both roles (RFC 8784)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import gateway
from ikepy.lab.strongswan import StrongSwan
from tests.interop import test_eap
from tests.interop.bed import OURS, THEIRS, Bed, Side

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

KEY = "0x" + "5a" * 32


def ours(required: bool, *, name: str = "ppk1") -> gateway.Connection:
    words = f'ppk_id = "ppk1"\nppk_required = {"true" if required else "false"}'
    key = f'[secrets.ppk-1]\nids = ["{name}"]\nsecret = "{KEY}"\n'
    if name != "ppk1":
        words = f"ppk_required = {'true' if required else 'false'}"
    return replace(OURS, extra=words, daemon=key)


def theirs(required: bool, *, name: str = "ppk1") -> str:
    options = {"ppk_id": name, "ppk_required": "yes" if required else "no"}
    key = f"secrets {{\n ppk-1 {{\n id = {name}\n secret = {KEY}\n }}\n}}\n"
    return replace(THEIRS, options=options).text() + key


@pytest.mark.parametrize("required", [False, True])
def test_used(bed: Bed, required: bool) -> None:
    """Children have keys that the PPK was mixed into, and so has what rekeys make."""
    bed.start(ours(required), theirs(required))
    for side in bed.each_brings_it_up():
        assert bed.our_sa["ppk"], side
        assert bed.their_sa["ppk"] == "yes"
        bed.expect_traffic()


def test_optional_and_unknown_to_the_other(bed: Bed) -> None:
    """NO_PPK_AUTH, of either."""
    bed.start(ours(False, name="ppk2"), theirs(False))
    bed.up(by="strongSwan")
    assert not bed.our_sa["ppk"]
    bed.expect_traffic()


def test_optional_and_not_configured_at_the_other(bed: Bed) -> None:
    bed.start(ours(False), THEIRS)
    for side in bed.each_brings_it_up():
        assert not bed.our_sa["ppk"], side
        bed.expect_traffic()


def test_required_by_them_and_unknown_to_us(bed: Bed) -> None:
    bed.start(ours(False, name="ppk2"), theirs(True))
    bed.refused(by="strongSwan")


@pytest.mark.parametrize("user", ["ikepy", "strongSwan"])
def test_named_after_eap(bed: Bed, user: Side) -> None:
    """With the AUTH that follows EAP; the gateway's first one covers the keys without it (RFC 8784 3)."""
    word = "eap-mschapv2"
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=test_eap.PLUGINS)
    them = test_eap.theirs(word, user=user == "strongSwan")
    key = f"secrets {{\n ppk-1 {{\n id = ppk1\n secret = {KEY}\n }}\n}}\n"
    bed.theirs.start(them.replace(" local {", " ppk_id = ppk1\n ppk_required = yes\n local {", 1) + key)
    us = test_eap.ours(word, user=user == "ikepy")
    words = '[connections.net]\nppk_id = "ppk1"\nppk_required = true\n'
    bed.ours.start(
        us.replace("[connections.net]\n", words, 1) + f'[secrets.ppk-1]\nids = ["ppk1"]\nsecret = "{KEY}"\n'
    )
    bed.up(user)
    assert bed.our_sa["ppk"]
    assert bed.their_sa["ppk"] == "yes"
    bed.expect_traffic()
