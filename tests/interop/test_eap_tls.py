"""EAP with certificates and a real strongSwan, in both roles: EAP-TLS (1.2), EAP alone, and a gateway
that proves itself by a certificate before the user does by a password (RFC 7296 2.16, 5998, 5216)."""

from __future__ import annotations

import pytest

from ikepy.lab.netns import LabError
from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import OURS, THEIRS, Bed, Side
from tests.pki import Entity, chain

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

PLUGINS = (
    "pem pkcs1 pkcs8 x509 pubkey constraints revocation curve25519 md5 eap-identity eap-mschapv2 eap-tls"
)
MOON, SUN, CAROL, DAVE = "moon.example.org", "sun.example.org", "carol@example.org", "dave@example.org"
PASSWORD = "open sesame"
TLS = "eap-tls"


def write(bed: Bed, ours: Entity, theirs: Entity, *, kind: str) -> None:
    """Certificates and keys, into the directories that both programs know."""
    pki = chain(kind)
    for directory, own in ((bed.ours.run_directory, ours), (bed.theirs.run_directory, theirs)):
        for name, data in {
            "x509/own.crt": own.pem,
            "x509ca/root.crt": pki.root.pem,
            "x509ca/between.crt": pki.ca.pem,
            "private/own.key": own.pkcs8_pem,
        }.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)
            path.write_bytes(data)


def ours(local: str, remote: str, ids: tuple[str, str]) -> str:
    """TOML: what stands in our two sections, and our and the peer's identity."""
    text = OURS.text().replace('id = "gwa"', f'id = "{ids[0]}"').replace('id = "gwb"', f'id = "{ids[1]}"')
    head, _, rest = text.partition('auth = "psk"\n')
    middle, _, end = rest.partition('auth = "psk"\n')
    end = end.replace("[daemon]\n", '[daemon]\nlog_level = "debug"\n')
    users = f'[secrets.eap-dave]\nids = ["{DAVE}"]\nsecret = "{PASSWORD}"\n'
    return f'{head}{local}{middle}{remote}{end}{users}[secrets.private-own]\nfile = "own.key"\n'


def theirs(local: str, remote: str, ids: tuple[str, str]) -> str:
    text = THEIRS.text().replace("id = gwb", f"id = {ids[0]}").replace("id = gwa", f"id = {ids[1]}")
    head, _, rest = text.partition("auth = psk\n")
    middle, _, end = rest.partition("auth = psk\n")
    users = f'secrets {{\n eap-dave {{\n id = {DAVE}\n secret = "{PASSWORD}"\n }}\n}}\n'
    return f"{head}{local}{middle}{remote}{end}{users}"


def start(bed: Bed, user: Side, word: str, *, kind: str = "ecdsa", alone: bool = False) -> None:
    """`user` is on one side, with its certificate (EAP-TLS) or a password; the gateway on the other."""
    pki = chain(kind)
    we_are = user == "ikepy"
    gateway = pki.sun if we_are else pki.moon
    own, other = (pki.carol, gateway) if we_are else (gateway, pki.carol)
    write(bed, own, other, kind=kind)
    name, users = (SUN if we_are else MOON), (CAROL if word == TLS else DAVE)
    proof = word if alone else "pubkey"
    quoted = [f'auth = "{word}"\n', f'auth = "{proof}"\n']
    plain = [f"auth = {word}\n", f"auth = {proof}\n"]
    asks = ("", "") if word == TLS else ('eap_id = "%any"\n', "eap_id = %any\n")
    ids = (users, name)
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    if we_are:
        bed.theirs.start(theirs(plain[1] + "certs = own.crt\n", plain[0] + asks[1], (name, users)))
        bed.ours.start(ours(quoted[0], quoted[1], ids))
    else:
        bed.theirs.start(theirs(plain[0], plain[1], ids))
        bed.ours.start(ours(quoted[1] + 'certs = ["own.crt"]\n', quoted[0] + asks[0], (name, users)))


@pytest.mark.parametrize(("user", "kind"), [("ikepy", "rsa"), ("strongSwan", "ecdsa")])
def test_certificates_by_eap(bed: Bed, user: Side, kind: str) -> None:
    start(bed, user, TLS, kind=kind)
    bed.up(user)
    bed.expect_traffic()
    if user == "strongSwan":
        assert bed.our_sa["remote_eap_id"] == CAROL


@pytest.mark.parametrize("user", ["ikepy", "strongSwan"])
def test_eap_alone(bed: Bed, user: Side) -> None:
    """The gateway sends no AUTH of its own: EAP-TLS proves both ends (RFC 5998)."""
    start(bed, user, TLS, alone=True)
    bed.up(user)
    bed.expect_traffic()


@pytest.mark.parametrize("user", ["ikepy", "strongSwan"])
def test_a_password_after_the_gateways_certificate(bed: Bed, user: Side) -> None:
    """What Windows, macOS, iOS and Android do."""
    start(bed, user, "eap-mschapv2", kind="rsa")
    bed.up(user)
    bed.expect_traffic()


def test_a_user_of_another_ca_is_refused(bed: Bed) -> None:
    start(bed, "strongSwan", TLS)
    stranger = chain("ecdsa", "another").carol
    for name, data in (("x509/own.crt", stranger.pem), ("private/own.key", stranger.pkcs8_pem)):
        (bed.theirs.run_directory / name).write_bytes(data)
    bed.theirs.swanctl("--load-creds", "--clear", "--noprompt")
    with pytest.raises(LabError):
        bed.initiate("strongSwan")
    bed.wait_for_log("ikepy", "EAP-TLS: nothing is known of its issuer")
    bed.wait_for_nothing()
