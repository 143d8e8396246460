"""EAP through a real FreeRADIUS, without IKE: our relay and our peer's end, TLS 1.2 and 1.3."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikepy.config.toml_source import parse
from ikepy.daemon.radius.relay import RadiusRelay
from ikepy.eap.methods.tls import TlsPeer
from ikepy.eap.peer import Peer
from ikepy.eap.turns import Accepted, Refused
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.path import Path as IkePath
from ikepy.sa.auth.relay import Relayed
from tests import pki
from tests.interop.freeradius import SECRET, FreeRadius, Tls
from tests.unit.eap.talk import USER, Talk, credential, mschapv2_peer, talk

pytestmark = pytest.mark.freeradius

PATH = IkePath(Endpoint(ip_address("192.0.2.2"), 4500), Endpoint(ip_address("192.0.2.1"), 4500))
CAROL = "carol@example.org"


def free_ports() -> tuple[int, int]:
    """Two UDP ports of 127.0.0.1 that nobody has."""
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def served(server: FreeRadius, peer: Peer, user: str, secret: str = SECRET) -> Talk:
    text = (
        "[radius]\nretransmit_timeout = 0.5\nretransmit_base = 1.0\nretransmit_tries = 3\n"
        f'[radius.servers.one]\naddress = "127.0.0.1"\nauth_port = {server.auth_port}\nsecret = "{secret}"\n'
    )
    relay = RadiusRelay()
    relay.configure(parse(text).radius)
    return talk(relay.begin(Relayed(7, "net", PATH, user), user, 5), peer, twice=True)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_tls(tmp_path: Path, version: str, kind: str) -> None:
    """The server's MPPE keys are the peer's MSK, and its success the commitment of RFC 9190."""
    made = pki.chain(kind)
    for name, data in {
        "ca.pem": made.root.pem + made.ca.pem,
        "own.pem": made.moon.pem + made.ca.pem,
        "own.key": made.moon.pkcs8_pem,
    }.items():
        (tmp_path / name).write_bytes(data)
    tls = Tls(tmp_path / "own.pem", tmp_path / "own.key", tmp_path / "ca.pem", version)
    auth, acct = free_ports()
    with FreeRadius(tmp_path / "radius", auth_port=auth, acct_port=acct, method="tls", tls=tls) as server:
        done = served(server, Peer(CAROL, (TlsPeer(lambda: credential(made.carol)),)), CAROL)
        stranger = pki.chain(kind, "another").carol
        refused = served(server, Peer(CAROL, (TlsPeer(lambda: credential(stranger)),)), CAROL)
    assert isinstance(done.server, Accepted), done.server
    assert isinstance(done.peer, Accepted), done.peer
    ours, theirs = done.msks
    assert ours == theirs
    assert {one.certificates[0] for one in done.trusts} == {made.moon.der}
    assert isinstance(refused.peer, Refused)


def test_mschapv2_and_another_secret(tmp_path: Path) -> None:
    auth, acct = free_ports()
    users = f'{USER} Cleartext-Password := "open sesame"\n'
    with FreeRadius(tmp_path / "radius", auth_port=auth, acct_port=acct, users=users) as server:
        done = served(server, mschapv2_peer(), USER)
        wrong = served(server, mschapv2_peer("a guess"), USER)
        unknown = served(server, mschapv2_peer(user="bob@example.org"), "bob@example.org")
        mistaken = served(server, mschapv2_peer(), USER, secret="not the secret of this server")
    ours, theirs = done.msks
    assert ours == theirs
    for talked in (wrong, unknown):
        assert isinstance(talked.server, Refused)
        assert "refuses the user" in talked.server.why
    assert isinstance(mistaken.server, Refused)
    assert "no RADIUS server answers" in mistaken.server.why
