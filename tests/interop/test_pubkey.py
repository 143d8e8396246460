"""Public keys with a real strongSwan, in both roles: each kind of key, hash and method; two rounds."""

from __future__ import annotations

import pytest

from ikepy.pki import keys
from tests.interop.bed import Bed
from tests.interop.certified import MOON, Files, start
from tests.pki import Entity, chain

pytestmark = [pytest.mark.root, pytest.mark.strongswan]


def entities(kind: str, size: int | None = None) -> tuple[Entity, Entity, bytes]:
    """Of both ends, of a kind and size, and the CA."""
    pki = chain("ecdsa" if kind == "brainpool" else kind)
    if size is None and kind != "brainpool":
        return pki.moon, pki.sun, pki.root.pem
    made = [
        pki.issue(name, key=keys.generate(kind, size), san=(f"{name}.example.org",), flags=("serverAuth",))
        for name in ("moon", "sun")
    ]
    return made[0], made[1], pki.root.pem


CASES = {
    "rsa": (("rsa", None), "pubkey", {}, "rsa-sha256"),
    "rsa, PSS": (("rsa", None), "ike:rsa/pss-sha384", {"rsa_pss": "yes"}, "rsa/pss-sha384"),
    "rsa, the old way": (("rsa", None), "pubkey", {"signature_authentication": "no"}, "rsa-sha1"),
    "ecdsa 256": (("ecdsa", None), "pubkey", {}, "ecdsa-sha256"),
    "ecdsa 384": (("ecdsa", 384), "pubkey", {}, "ecdsa-sha384"),
    "ecdsa 521": (("ecdsa", 521), "pubkey", {}, "ecdsa-sha512"),
    "ecdsa 256, the old way": (("ecdsa", None), "pubkey", {"signature_authentication": "no"}, "ecdsa-sha256"),
    "brainpool": (("brainpool", 384), "pubkey", {}, "ecdsa-sha384"),
    "ed25519": (("ed25519", None), "pubkey", {}, "ed25519"),
    "ed448": (("ed448", None), "pubkey", {}, "ed448"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_in_both_roles(bed: Bed, name: str) -> None:
    (kind, size), auth, charon, scheme = CASES[name]
    moon, sun, ca = entities(kind, size)
    start(bed, Files(moon, ca), Files(sun, ca), auth=(auth, auth), their_auth=(auth, auth), charon=charon)
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()
    bed.wait_for_log("ikepy", rf"authenticated by certificate .*CN=sun.*, {scheme}", times=2)
    assert bed.theirs.log().count(f"authentication of '{MOON}' with ") >= 2


def test_each_end_by_another_kind(bed: Bed) -> None:
    moon, _, moons_ca = entities("ed25519")
    _, sun, suns_ca = entities("rsa")
    start(bed, Files(moon, suns_ca), Files(sun, moons_ca))
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()


def test_raw_public_keys(bed: Bed) -> None:
    moon, sun, ca = entities("ed25519")
    start(
        bed,
        Files(moon, ca, raw=sun.spki),
        Files(sun, ca, raw=moon.spki),
        extra='send_cert = "always"',
        their_options={"send_cert": "always"},
    )
    for _ in bed.each_brings_it_up():
        bed.expect_traffic()


def test_a_constraint_that_they_do_not_meet(bed: Bed) -> None:
    moon, sun, ca = entities("ecdsa")
    start(bed, Files(moon, ca), Files(sun, ca), auth=("pubkey", "ecdsa-384"))
    refused = bed.refused("ikepy")
    assert "remote.auth does not permit its signature, ecdsa-sha256 by its ecdsa-256 key" in refused


def test_an_unknown_ca(bed: Bed) -> None:
    moon, sun, ca = entities("ecdsa")
    other = chain("ecdsa", "other").root.pem
    start(bed, Files(moon, other), Files(sun, ca))
    assert "its chain has none of the CAs of cacerts" in bed.refused("ikepy")


USER, PASSWORD = "alice@example.org", "open sesame"
EAP = "md5 eap-identity eap-mschapv2"
OUR_USER = f"""
[connections.net.local2]
auth = "eap-mschapv2"
id = "{USER}"
eap_id = "{USER}"
"""
OUR_GATEWAY = f"""
[connections.net.remote2]
auth = "eap-mschapv2"
id = "{USER}"
"""
OUR_SECRET = f'[secrets.eap-alice]\nids = ["{USER}"]\nsecret = "{PASSWORD}"\n'
THEIR_SECRET = f'secrets {{\n eap-alice {{\n id = {USER}\n secret = "{PASSWORD}"\n }}\n}}\n'


def with_second(bed: Bed, side: str) -> None:
    """Have strongSwan load its connection with a second round of this side, by a user's password."""
    text = (bed.theirs.run_directory / "swanctl.conf").read_text()
    children = text.index("        children {")
    second = f"        {side}-2 {{\n auth = eap-mschapv2\n id = {USER}\n eap_id = {USER}\n }}\n"
    bed.theirs.load(text[:children] + second + text[children:] + THEIR_SECRET)


def test_our_certificate_and_then_our_user(bed: Bed) -> None:
    """RFC 4739: charon's remote-2."""
    moon, sun, ca = entities("ecdsa")
    start(bed, Files(moon, ca), Files(sun, ca), more=OUR_USER + OUR_SECRET, plugins=EAP)
    with_second(bed, "remote")
    bed.up("ikepy")
    bed.expect_traffic()
    assert "authentication of 'moon.example.org' with ECDSA_WITH_SHA256_DER successful" in bed.theirs.log()
    assert f"authentication of '{USER}' with EAP successful" in bed.theirs.log()


def test_their_certificate_and_then_their_user(bed: Bed) -> None:
    """RFC 4739: charon's local-2; who has a certificate alone is refused."""
    moon, sun, ca = entities("ecdsa")
    start(bed, Files(moon, ca), Files(sun, ca), more=OUR_GATEWAY + OUR_SECRET, plugins=EAP)
    bed.refused("strongSwan")
    bed.wait_for_log(
        "ikepy", "it authenticates once, and remote2 asks for a second time|it supports one round"
    )
    bed.wait_for_nothing()
    with_second(bed, "local")
    bed.up("strongSwan")
    bed.expect_traffic()
