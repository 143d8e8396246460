"""Authentication and negotiation that fail with a real strongSwan: both sides say why, and nothing stays."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates

pytestmark = [pytest.mark.root, pytest.mark.strongswan]


def test_wrong_secret_when_we_ask(bed: Bed) -> None:
    bed.start(OURS, replace(THEIRS, secret="another"))
    assert "AUTHENTICATION_FAILED" in bed.refused("ikepy")
    bed.wait_for_log("strongSwan", "MAC mismatched")
    bed.wait_for_log("ikepy", "AUTHENTICATION_FAILED")
    bed.wait_for_nothing()


def test_wrong_secret_when_strongswan_asks(bed: Bed) -> None:
    bed.start(OURS, replace(THEIRS, secret="another"))
    assert "AUTHENTICATION_FAILED" in bed.refused("strongSwan")
    bed.wait_for_log(
        "ikepy", "authentication of the peer FQDN .gwb. failed .secret: the peer.s is not the one of"
    )
    bed.wait_for_log("strongSwan", "received AUTHENTICATION_FAILED notify error")
    bed.wait_for_nothing()


def test_the_command_line_says_it(bed: Bed) -> None:
    """`ikepy initiate` with a wrong secret: why on standard error, exit status 1; no secret in it."""
    bed.start(OURS, replace(THEIRS, secret="another"))
    command = ("-m", "ikepy", "initiate", "--child", "net", "--socket", str(bed.ours.socket))
    done = subprocess.run((sys.executable, *command), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AUTHENTICATION_FAILED" in done.stderr
    assert OURS.secret not in done.stdout + done.stderr


@either_side_initiates
def test_right_secret_after_a_wrong_one(bed: Bed, initiator: Side) -> None:
    """What failed leaves nothing behind that is in the way."""
    bed.start(OURS, replace(THEIRS, secret="another"))
    bed.refused(initiator)
    bed.theirs.load(THEIRS)
    bed.up(by=initiator)
    bed.expect_traffic()


def test_identity_that_we_do_not_know(bed: Bed) -> None:
    """strongSwan calls itself what no connection of ours permits."""
    bed.start(OURS, replace(THEIRS, local_id="somebody.example"))
    assert "AUTHENTICATION_FAILED" in bed.refused("strongSwan")
    bed.wait_for_log("ikepy", "authentication of the peer FQDN .somebody.example. failed .IDi, ")
    bed.wait_for_nothing()


def test_identity_that_strongswan_does_not_know(bed: Bed) -> None:
    """We call ourselves what no connection of strongSwan's permits."""
    bed.start(replace(OURS, local_id="somebody.example"))
    assert "AUTHENTICATION_FAILED" in bed.refused("ikepy")
    bed.wait_for_log("strongSwan", "no matching peer config found")
    bed.wait_for_nothing()


def test_identity_that_the_responder_does_not_have(bed: Bed) -> None:
    """strongSwan asks for an IDr that is not ours."""
    bed.start(OURS, replace(THEIRS, remote_id="somebody.example"))
    assert "AUTHENTICATION_FAILED" in bed.refused("strongSwan")
    bed.wait_for_nothing()


def test_responder_that_is_somebody_else(bed: Bed) -> None:
    """strongSwan answers under another name than the one that we accept: it hears so, and gives up too."""
    bed.start(replace(OURS, remote_id="*.example"), replace(THEIRS, local_id="gwb.elsewhere"))
    assert "gwb.elsewhere" in bed.refused("ikepy")
    bed.wait_for_nothing()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("a.gateway.example", "b.gateway.example"),
        ("a@gateway.example", "b@gateway.example"),
        ("@#0a0b0c", "@#0d0e0f"),
        ("2001:db8::a", "2001:db8::b"),
    ],
)
def test_kinds_of_identities(bed: Bed, ours: str, theirs: str) -> None:
    """IPv4, FQDN, RFC 822, key ID and IPv6, written alike on both sides."""
    # swanctl.conf takes a bare # for the beginning of a comment.
    bed.start(
        replace(OURS, local_id=ours, remote_id=theirs),
        replace(THEIRS, local_id=f'"{theirs}"', remote_id=f'"{ours}"'),
    )
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()


@either_side_initiates
def test_anybody_who_authenticates(bed: Bed, initiator: Side) -> None:
    """The responder has %any for the other's address and identity."""
    if initiator == "ikepy":
        bed.start(OURS, replace(THEIRS, remote_addrs="%any", remote_id="%any"))
    else:
        bed.start(replace(OURS, remote_addrs=("%any",), remote_id="%any"))
    bed.up(by=initiator)
    bed.expect_traffic()


@either_side_initiates
def test_no_ike_proposal_in_common(bed: Bed, initiator: Side) -> None:
    bed.start(OURS, replace(THEIRS, proposals="aes256-sha512-modp4096"))
    assert "NO_PROPOSAL_CHOSEN" in bed.refused(initiator)
    bed.wait_for_log("ikepy", "NO_PROPOSAL_CHOSEN")
    bed.wait_for_log("strongSwan", "received proposals unacceptable|NO_PROPOSAL_CHOSEN notify error")
    bed.wait_for_nothing()


@either_side_initiates
def test_no_esp_proposal_in_common(bed: Bed, initiator: Side) -> None:
    """The IKE_SA may stand, a child doesn't."""
    bed.start(OURS, replace(THEIRS, esp_proposals="aes256-sha512"))
    bed.refused(initiator)
    bed.wait_for_log("strongSwan", r"IKE_AUTH response 1 .*N\(NO_PROP\)")
    assert not bed.ours.children()
    assert not bed.theirs.children()


def test_no_secret_in_a_log(bed: Bed) -> None:
    secret = "correct horse battery"
    bed.start(replace(OURS, secret=secret), replace(THEIRS, secret=secret))
    bed.up(by="ikepy")
    bed.wait_for_log("ikepy", "established")
    assert secret not in bed.ours.log()
    assert secret.encode().hex() not in bed.ours.log()
