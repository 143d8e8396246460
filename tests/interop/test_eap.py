"""EAP with a real strongSwan, in both roles: passwords by MSCHAPv2 and MD5, and what is refused.

The gateway authenticates by a secret here; with certificates, see test_eap_tls.py.
"""

from __future__ import annotations

import pytest

from ikepy.lab.netns import LabError
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import OURS, THEIRS, Bed, Side

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

PLUGINS = "md5 eap-identity eap-md5 eap-mschapv2"
USER, PASSWORD = "alice@example.org", "open sesame"
# What is added on each side to the pair's connection by secrets: `user` proves itself, `gateway` asks for it.
OUR_USER = f'auth = "{{word}}"\neap_id = "{USER}"'
OUR_GATEWAY = 'auth = "{word}"\neap_id = "%any"'
OUR_SECRET = f'[secrets.eap-alice]\nids = ["{USER}"]\nsecret = "{{password}}"\n'
THEIR_USER = f"auth = {{word}}\neap_id = {USER}"
THEIR_GATEWAY = "auth = {word}\neap_id = %any"
THEIR_SECRET = f'secrets {{{{\n eap-alice {{{{\n id = {USER}\n secret = "{{password}}"\n }}}}\n}}}}\n'
WORDS = pytest.mark.parametrize("word", ["eap-mschapv2", "eap-md5"])


def ours(word: str, *, user: bool, password: str = PASSWORD) -> str:
    """Our configuration as the user, or as the gateway."""
    section, text = ("local", OUR_USER) if user else ("remote", OUR_GATEWAY)
    heading = f"[connections.net.{section}]\n"
    whole = OURS.text().replace(f'{heading}auth = "psk"', heading + text.format(word=word))
    return whole.replace("[daemon]\n", '[daemon]\nlog_level = "debug"\n') + OUR_SECRET.format(
        password=password
    )


def theirs(word: str, *, user: bool, password: str = PASSWORD) -> str:
    section, text = ("local", THEIR_USER) if user else ("remote", THEIR_GATEWAY)
    before, heading, after = THEIRS.text().partition(f" {section} {{")
    whole = before + heading + after.replace("auth = psk", text.format(word=word), 1)
    return whole + THEIR_SECRET.format(password=password)


def start(
    bed: Bed, our_word: str, their_word: str, user: Side, *, password: str = PASSWORD, plugins: str = PLUGINS
) -> None:
    """`password`: the user's."""
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=plugins)
    mine, yours = (password, PASSWORD) if user == "ikepy" else (PASSWORD, password)
    bed.theirs.start(theirs(their_word, user=user == "strongSwan", password=yours))
    bed.ours.start(ours(our_word, user=user == "ikepy", password=mine))


@WORDS
def test_our_user_at_their_gateway(bed: Bed, word: str) -> None:
    start(bed, word, word, "ikepy")
    bed.up("ikepy")
    bed.expect_traffic()
    assert bed.their_sa["remote-eap-id"] == USER


@WORDS
def test_their_user_at_our_gateway(bed: Bed, word: str) -> None:
    start(bed, word, word, "strongSwan")
    bed.up("strongSwan")
    bed.expect_traffic()
    assert bed.our_sa["remote_eap_id"] == USER


def test_methods_are_negotiated(bed: Bed) -> None:
    """Our gateway proposes MSCHAPv2, and their user wants MD5."""
    start(bed, "eap-dynamic", "eap-md5", "strongSwan")
    bed.up("strongSwan")


def test_wrong_password_of_our_user(bed: Bed) -> None:
    """charon lets it try again by MSCHAPv2, which it doesn't."""
    start(bed, "eap-mschapv2", "eap-mschapv2", "ikepy", password="a guess")
    with pytest.raises(LabError, match=r"EAP|AUTHENTICATION_FAILED"):
        bed.initiate("ikepy")
    assert not bed.ours.list_sas()  # charon waits for another try


def test_wrong_password_of_their_user(bed: Bed) -> None:
    start(bed, "eap-mschapv2", "eap-mschapv2", "strongSwan", password="a guess")
    with pytest.raises(LabError):
        bed.initiate("strongSwan")
    bed.wait_for_log("ikepy", "a wrong password of the user 'alice@example.org'")
    bed.wait_for_log("strongSwan", "received EAP_FAILURE|AUTHENTICATION_FAILED")
    bed.wait_for_nothing()
