"""Keys in a PKCS#11 token, SoftHSM's: made there or written to it, and asked to sign through the signer."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.daemon.signer.signer import Signer, TokenKey
from ikepy.daemon.signer.signer_process import SignerError
from ikepy.errors import PeerError
from tests.pki import Entity, chain

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN, OCTETS = "6741", b"IKE_SA_INIT and a nonce" * 20
pytestmark = pytest.mark.skipif(
    shutil.which("softhsm2-util") is None or not Path(MODULE).exists(), reason="needs Debian's softhsm2"
)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty token."""
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    util("--init-token", "--free", "--label", "test", "--so-pin", "0000", "--pin", PIN)
    return tmp_path


@pytest.fixture
def signer(token: Path) -> Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


def util(*words: str) -> None:
    subprocess.run(["softhsm2-util", *words], check=True, capture_output=True, timeout=60)


def put(entity: Entity, directory: Path, handle: str) -> None:
    path = directory / "key.pem"
    path.write_bytes(entity.pkcs8_pem)
    util("--import", str(path), "--token", "test", "--label", "gw", "--id", handle, "--pin", PIN)


def source(handle: str, pin: str = PIN, module: str = MODULE) -> TokenKey:
    return TokenKey("secrets.token-gw", module, None, handle, Secret(pin.encode()))


def test_rsa(token: Path, signer: Signer) -> None:
    moon = chain("rsa").moon
    put(moon, token, "a1b2")
    assert signer.configure([source("a1b2")]) == []
    assert signer.keys[moon.key_id].public_key == moon.spki
    public = moon.key.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    made = signer.job(moon.key_id, Scheme.RSA_SHA256, OCTETS)()
    public.verify(made, OCTETS, padding.PKCS1v15(), hashes.SHA256())
    made = signer.job(moon.key_id, Scheme.PSS_SHA256, OCTETS)()
    public.verify(made, OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    with pytest.raises(PeerError, match="can't sign by ecdsa-sha256"):
        signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)()


def test_ecdsa(token: Path, signer: Signer) -> None:
    moon = chain("ecdsa").moon
    put(moon, token, "01")
    key = signer.load_token(source("01"))
    assert (key.key_id, signer.of_vici()) == (moon.key_id, [moon.key_id])
    public = moon.key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    made = signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)()
    public.verify(made, OCTETS, ec.ECDSA(hashes.SHA256()))


def test_a_key_that_was_made_in_the_token(token: Path, signer: Signer) -> None:
    """By python-pkcs11, in a process of its own, as a module is loaded once in a process."""
    code = (
        "import pkcs11, sys\n"
        "from pkcs11.util.ec import encode_named_curve_parameters as named\n"
        f"token = next(pkcs11.lib({MODULE!r}).get_tokens(token_label='test'))\n"
        f"with token.open(rw=True, user_pin={PIN!r}) as session:\n"
        "    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, {\n"
        "        pkcs11.Attribute.EC_PARAMS: named('secp384r1')}, local=True)\n"
        "    parameters.generate_keypair(id=bytes([9]), label='made', store=True)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    key = signer.load_token(source("09"))
    public = serialization.load_der_public_key(key.public_key)
    assert isinstance(public, ec.EllipticCurvePublicKey) and public.key_size == 384
    made = signer.job(key.key_id, Scheme.ECDSA_SHA384, OCTETS)()
    public.verify(made, OCTETS, ec.ECDSA(hashes.SHA384()))


def test_ed25519(token: Path, signer: Signer) -> None:
    moon = chain("ed25519").moon
    put(moon, token, "02")
    signer.load_token(source("02"))
    public = moon.key.public_key()
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signer.job(moon.key_id, Scheme.ED25519, OCTETS)(), OCTETS)


@pytest.mark.parametrize(
    ("handle", "pin", "module", "why"),
    [
        ("ff", PIN, MODULE, "no token has a private key with this ID"),
        ("03", "9999", MODULE, "the PIN is wrong"),
        ("03", PIN, "/nonexistent.so", "nonexistent"),
    ],
)
def test_what_does_not_work_is_told(
    token: Path, signer: Signer, handle: str, pin: str, module: str, why: str
) -> None:
    put(chain("ecdsa").moon, token, "03")
    with pytest.raises(SignerError, match=why) as told:
        signer.load_token(source(handle, pin, module))
    assert pin not in str(told.value)
    assert signer.load_token(source("03"))  # the signer goes on


def signs(signer: Signer, entity: Entity, scheme: Scheme = Scheme.ECDSA_SHA256) -> bool:
    """Whether a signature is made by this key, and no other one of the token."""
    made = signer.job(entity.key_id, scheme, OCTETS)()
    public = entity.key.public_key()
    match public:
        case ec.EllipticCurvePublicKey():
            public.verify(made, OCTETS, ec.ECDSA(hashes.SHA256()))
        case ed25519.Ed25519PublicKey():
            public.verify(made, OCTETS)
    return True


def test_two_keys_of_one_token(token: Path, signer: Signer) -> None:
    """There is one login for both (PKCS#11 5.6)."""
    moon, sun = chain("ecdsa").moon, chain("ecdsa").sun
    put(moon, token, "a1")
    put(sun, token, "a2")
    assert signer.configure([source("a1"), source("a2")]) == []
    assert signs(signer, moon) and signs(signer, sun)
    assert signer.load_token(source("a1")).key_id == moon.key_id, "a second load-creds"
    with pytest.raises(SignerError, match="no token has a private key with this ID"):
        signer.load_token(source("ff"))
    assert signs(signer, moon) and signs(signer, sun), "an ID that is not there ends nobody's login"


def test_a_key_that_is_removed_and_comes_again(token: Path, signer: Signer) -> None:
    moon = chain("ecdsa").moon
    put(moon, token, "a1")
    for _ in range(2):
        assert signer.configure([source("a1")]) == []
        assert signs(signer, moon)
        assert signer.configure([]) == []
        assert not signer.has(moon.key_id)


def test_a_certificate_without_the_public_key(token: Path, signer: Signer) -> None:
    """Ed25519: what the private key object says of itself has no place in the module's own numbers."""
    moon = chain("ed25519").moon
    put(moon, token, "02")
    in_token(
        "for one in list(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})):\n"
        "    one.destroy()\n"
        f"certificate = decode_x509_certificate(bytes.fromhex({moon.der.hex()!r}))\n"
        "session.create_object({**certificate, Attribute.TOKEN: True, Attribute.ID: bytes([2])})\n"
    )
    key = signer.load_token(source("02"))
    assert (key.key_id, key.certificates) == (moon.key_id, (moon.der,))
    assert signs(signer, moon, Scheme.ED25519)


def in_token(code: str) -> None:
    """Change a token from a process of its own, as a login is a process's."""
    before = (
        "import pkcs11\n"
        "from pkcs11 import Attribute, ObjectClass\n"
        "from pkcs11.util.x509 import decode_x509_certificate\n"
        f"token = next(pkcs11.lib({MODULE!r}).get_tokens(token_label='test'))\n"
        f"session = token.open(rw=True, user_pin={PIN!r})\n"
    )
    subprocess.run([sys.executable, "-c", before + code], check=True, timeout=60)


LOSES = f"""
import ctypes
from ikepy.crypto.schemes import Scheme
from ikepy.daemon.signer import token

module = ctypes.CDLL({MODULE!r})
first, second = (token.open_key({MODULE!r}, None, one, {PIN.encode()!r}) for one in ("a1", "a2"))
slot = next(iter(token.pkcs11.lib({MODULE!r}).get_slots())).slot_id
for _ in range(2):
    assert module.C_CloseAllSessions(ctypes.c_ulong(slot)) == 0
    for key in (second, first, second):
        print(key.sign(Scheme.ECDSA_SHA256, {OCTETS!r}).hex())
"""


def test_a_session_that_is_lost(token: Path) -> None:
    """As with an HSM whose connection broke, here by the module's own call: it is opened again."""
    moon, sun = chain("ecdsa").moon, chain("ecdsa").sun
    put(moon, token, "a1")
    put(sun, token, "a2")
    done = subprocess.run(
        [sys.executable, "-c", LOSES], check=True, capture_output=True, text=True, timeout=60
    )
    made = done.stdout.split()
    for signature, entity in zip(made, (sun, moon, sun) * 2, strict=True):
        public = entity.key.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(bytes.fromhex(signature), OCTETS, ec.ECDSA(hashes.SHA256()))


def test_a_replaced_signer_opens_the_token_again(token: Path, signer: Signer) -> None:
    moon = chain("ecdsa").moon
    handle = secrets.token_hex(4)
    put(moon, token, handle)
    signer.load_token(source(handle))
    before = signer.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    end = time.monotonic() + 30
    while signer.pid == before or moon.key_id not in signer.keys:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)()
