"""The signer: a real process, that has the keys, signs, and is replaced when it ends."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.daemon.signer.messages import Answer, Done, Loaded, LoadKey, LoadToken, Request, Sign, Signed
from ikepy.daemon.signer.signer import KeyFile, Signer, TokenKey
from ikepy.daemon.signer.signer_process import SignerError, SignerProcess, SignerSilentError
from ikepy.errors import LocalMisuse, PeerError
from ikepy.pki import keys
from tests.pki import Entity, chain

OCTETS = bytes(range(256)) * 3
PATIENCE = 30.0


@pytest.fixture
def signer() -> Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


def source(entity: Entity, directory: Path, kind: str = "private") -> KeyFile:
    return KeyFile("secrets.private-gw.file", entity.write(directory, "gw")[1], kind)


def test_signs_by_a_key_of_a_file(signer: Signer, tmp_path: Path) -> None:
    moon = chain("ecdsa").moon
    assert signer.configure([source(moon, tmp_path)]) == []
    assert signer.keys[moon.key_id].public_key == moon.spki
    signature = signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)()
    public = moon.key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, OCTETS, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_signs_by_a_key_of_vici(signer: Signer, kind: str) -> None:
    moon = chain(kind).moon
    key = signer.load("any", moon.pkcs8)
    assert (key.key_id, key.public_key, signer.of_vici()) == (moon.key_id, moon.spki, [moon.key_id])
    public = moon.key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        made = signer.job(key.key_id, Scheme.RSA_SHA256, OCTETS)()
        public.verify(made, OCTETS, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public, ed25519.Ed25519PublicKey)
        public.verify(signer.job(key.key_id, Scheme.ED25519, OCTETS)(), OCTETS)
    assert signer.unload(key.key_id) and not signer.unload(key.key_id)
    with pytest.raises(PeerError, match="no private key of this ID"):
        signer.job(key.key_id, Scheme.ED25519, OCTETS)()


def test_without_any_key_no_process_is_started(signer: Signer) -> None:
    assert signer.configure([]) == [] and signer.pid is None
    with pytest.raises(PeerError, match="there is no private key"):
        signer.job("00" * 20, Scheme.ED25519, OCTETS)()


def test_encrypted_keys(signer: Signer, tmp_path: Path) -> None:
    moon = chain("ed25519").moon
    path = tmp_path / "gw.key"
    path.write_bytes(keys.private_bytes(moon.key, "pem", b"open sesame"))
    closed, wrong, right = (
        KeyFile("secrets.private-gw", path, "private", password)
        for password in (None, Secret(b"another"), Secret(b"open sesame"))
    )
    for one, why in ((closed, "it is encrypted"), (wrong, "has another password")):
        ((name, text),) = signer.configure([one])
        assert name == "secrets.private-gw" and why in text
        assert "sesame" not in text and "another " not in text.replace("another password", "")
    assert signer.configure([right]) == [] and list(signer.keys) == [moon.key_id]


def test_pkcs12_brings_its_certificates(signer: Signer, tmp_path: Path) -> None:
    moon = chain("ecdsa").moon
    assert isinstance(moon.key, ec.EllipticCurvePrivateKey)
    path = tmp_path / "gw.p12"
    hidden = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"gw", moon.key, moon.certificate, moon.between, hidden)
    )
    assert signer.configure([KeyFile("secrets.pkcs12-gw", path, "pkcs12", Secret(b"secret"))]) == []
    assert signer.keys[moon.key_id].certificates == moon.chain


@pytest.mark.parametrize(
    ("octets", "kind", "why"),
    [
        (b"", "any", "it is no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n", "any", "it is no private key"),
        (bytes(65537), "any", "it is too long"),
        (bytes(100), "pkcs12", "it is no PKCS#12 container"),
        (chain("ecdsa").moon.pkcs8, "rsa", "it is a key of another kind; allowed: RSA"),
        (chain("ecdsa").moon.der, "any", "it is no private key"),
    ],
)
def test_what_is_no_key_is_refused(signer: Signer, octets: bytes, kind: str, why: str) -> None:
    with pytest.raises(SignerError, match=why):
        signer.load(kind, octets)
    assert signer.pid is not None and not signer.keys


def test_a_reload_forgets_keys_that_are_gone_and_keeps_vicis(signer: Signer, tmp_path: Path) -> None:
    moon, sun, carol = (getattr(chain("ecdsa"), name) for name in ("moon", "sun", "carol"))
    signer.load("any", carol.pkcs8)
    signer.configure([source(moon, tmp_path)])
    assert set(signer.keys) == {moon.key_id, carol.key_id}
    assert signer.configure([source(sun, tmp_path)]) == []
    assert set(signer.keys) == {sun.key_id, carol.key_id}
    assert not signer.unload(sun.key_id)  # the file's
    signer.clear()
    assert set(signer.keys) == {sun.key_id}
    absent = KeyFile("secrets.private-gw.file", tmp_path / "absent", "private")
    assert signer.configure([absent]) == [(absent.name, "this file can't be read: No such file or directory")]
    assert not signer.keys


def test_a_key_of_both_is_kept_until_both_are_without_it(signer: Signer, tmp_path: Path) -> None:
    moon = chain("ecdsa").moon
    sign = signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)
    signer.configure([source(moon, tmp_path)])
    signer.load("any", moon.pkcs8)
    assert signer.of_vici() == [moon.key_id]
    signer.clear()
    assert set(signer.keys) == {moon.key_id} and not signer.of_vici() and sign()
    signer.load("any", moon.pkcs8)
    signer.configure([])
    assert set(signer.keys) == {moon.key_id} and sign()
    signer.clear()
    assert not signer.keys
    with pytest.raises(PeerError, match="no private key of this ID"):
        sign()


def test_a_signer_that_can_not_be_started_again_is_tried_again(tmp_path: Path) -> None:
    """As when there are too many processes just then."""
    moon, outcomes = chain("ecdsa").moon, [False]

    def start(on_end: Callable[[str], object]) -> SignerProcess:
        if outcomes and outcomes.pop():
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return SignerProcess(on_end)

    signer = Signer(start)
    try:
        signer.configure([source(moon, tmp_path)])
        assert signer.pid is not None
        os.kill(signer.pid, signal.SIGKILL)
        outcomes.append(True)
        assert signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)() and not outcomes
    finally:
        signer.close()


def test_a_signer_that_ends_is_replaced(signer: Signer, tmp_path: Path) -> None:
    moon, carol = chain("ecdsa").moon, chain("ecdsa").carol
    signer.configure([source(moon, tmp_path)])
    signer.load("any", carol.pkcs8)
    before = signer.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)()  # who asks meanwhile waits for the new one
    assert signer.pid not in (None, before)
    with pytest.raises(PeerError, match="no private key of this ID"):
        signer.job(carol.key_id, Scheme.ECDSA_SHA256, OCTETS)()
    assert set(signer.keys) == {moon.key_id}  # nobody else has carol's


class LoadsTokensLate:
    """A signer process whose tokens hang once the gate is closed."""

    pid = 1

    def __init__(self, gate: threading.Event, on_end: Callable[[str], object]) -> None:
        self.gate, self.end = gate, on_end

    def ask(self, make: Callable[[int], Request], fd: int | None = None, wait: float = PATIENCE) -> Answer:
        match make(1):
            case LoadKey():
                return Loaded(1, "file", b"", ())
            case LoadToken():
                if not self.gate.wait(PATIENCE):
                    raise SignerSilentError("the signer gives no answer")
                return Loaded(1, "token", b"", ())
            case Sign():
                return Signed(1, b"signature")
        return Done(1)

    def close(self) -> None:
        pass


def test_keys_of_files_are_used_while_a_token_hangs_that_the_next_one_loads(tmp_path: Path) -> None:
    gate, processes = threading.Event(), list[LoadsTokensLate]()

    def start(on_end: Callable[[str], object]) -> SignerProcess:
        processes.append(LoadsTokensLate(gate, on_end))
        return cast(SignerProcess, processes[-1])

    gate.set()
    signer = Signer(start)
    token = TokenKey("secrets.token-hsm", "/module", None, "00")
    assert signer.configure([source(chain("ecdsa").moon, tmp_path), token]) == []
    gate.clear()
    replacing = threading.Thread(target=processes[0].end, args=("signal 9",))
    replacing.start()
    try:
        while len(processes) < 2:
            time.sleep(0.01)
        assert signer.job("file", Scheme.ECDSA_SHA256, OCTETS)() == b"signature"
        assert replacing.is_alive()
    finally:
        gate.set()
        replacing.join(PATIENCE)
    assert signer.job("token", Scheme.ECDSA_SHA256, OCTETS)() == b"signature"
    signer.close()


def test_a_token_whose_module_has_too_long_a_path_ends_no_signer(signer: Signer) -> None:
    key = signer.load("any", chain("ecdsa").moon.pkcs8)
    before = signer.pid
    with pytest.raises(SignerError, match="too long: module: 4001 octets"):
        signer.load_token(TokenKey("load-token 00", "/" + "a" * 4000, None, "00"))
    assert signer.job(key.key_id, Scheme.ECDSA_SHA256, OCTETS)() and signer.pid == before


def test_who_waits_is_answered_by_the_next_one(signer: Signer, tmp_path: Path) -> None:
    moon = chain("ecdsa").moon
    signer.configure([source(moon, tmp_path)])
    assert signer.pid is not None
    os.kill(signer.pid, signal.SIGSTOP)
    outcome: list[bytes] = []
    job = signer.job(moon.key_id, Scheme.ECDSA_SHA256, OCTETS)
    thread = threading.Thread(target=lambda: outcome.append(job()))
    thread.start()
    os.kill(signer.pid, signal.SIGKILL)
    thread.join(PATIENCE)
    assert len(outcome) == 1


def test_eap_tls_gets_keys_of_files_and_no_other(signer: Signer, tmp_path: Path) -> None:
    moon, carol = chain("ecdsa").moon, chain("ecdsa").carol
    signer.configure([source(moon, tmp_path)])
    signer.load("any", carol.pkcs8)
    found = signer.private_key(moon.key_id)
    assert found is not None and found.expose() == moon.pkcs8
    assert signer.private_key(carol.key_id) is None and signer.private_key("00" * 20) is None
    assert signer.has(carol.key_id) and not signer.has("00" * 20)
    signer.configure([])
    assert signer.private_key(moon.key_id) is None
    with pytest.raises(LocalMisuse):
        found.expose()


def test_many_sign_at_once(signer: Signer) -> None:
    moon = chain("ed25519").moon
    key = signer.load("any", moon.pkcs8)
    public = moon.key.public_key()
    assert isinstance(public, ed25519.Ed25519PublicKey)
    texts = [b"%d" % number * 100 for number in range(300)]
    with ThreadPoolExecutor(16) as pool:
        made = pool.map(lambda text: signer.job(key.key_id, Scheme.ED25519, text)(), texts)
        for text, signature in zip(texts, made, strict=True):
            public.verify(signature, text)


def test_the_process_has_no_rights_and_keeps_its_memory_private(signer: Signer) -> None:
    signer.load("any", chain("ecdsa").moon.pkcs8)
    status = Path(f"/proc/{signer.pid}/status").read_text()
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert [int(found[name], 16) for name in ("CapPrm", "CapEff", "CapInh")] == [0, 0, 0]
    assert found["NoNewPrivs"].strip() == "1"
    assert "Max core file size        0 " in Path(f"/proc/{signer.pid}/limits").read_text()
    command = Path(f"/proc/{signer.pid}/cmdline").read_bytes().split(b"\0")
    assert command[-3].endswith(b"signer_main")  # and a descriptor's number: no secret


def test_it_ends_with_close(signer: Signer) -> None:
    signer.load("any", chain("ecdsa").moon.pkcs8)
    pid = signer.pid
    signer.close()
    assert not Path(f"/proc/{pid}").exists() and not signer.keys
    with pytest.raises(SignerError, match="ended"):
        signer.load("any", chain("ecdsa").moon.pkcs8)
