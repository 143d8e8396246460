"""The OCSP responder, asked by openssl, and what is no request."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from ikepy.pki import crl
from ikepy.pki.ocsp import MAX_REQUEST, Responder
from ikepy.pki.ocsp_server import OcspServer
from tests.pki import Chain, Entity, chain

Status = ocsp.OCSPResponseStatus


def responder(of: Chain, *revoked: Entity, signer: Entity | None = None) -> Responder:
    signer = signer or of.ca
    data = of.crl(*revoked)
    return Responder(of.ca.certificate, signer.key, signer.certificate, lambda: crl.load(data))


def status_of(answer: bytes) -> Status:
    return ocsp.load_der_ocsp_response(answer).response_status


async def asked(server: OcspServer, directory: Path, name: str) -> str:
    listening = await server.start("127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        words = ["openssl", "ocsp", "-issuer", "ca.crt", "-cert", f"{name}.crt", "-CAfile", "root.crt"]
        words += ["-verify_other", "ca.crt", "-url", f"http://127.0.0.1:{port}/ocsp"]
        done = await asyncio.create_subprocess_exec(
            *words, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told, _ = await done.communicate()
    return told.decode()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_openssl_is_told(kind: str, tmp_path: Path) -> None:
    of = chain(kind)
    for name, entity in (("root", of.root), ("ca", of.ca), ("moon", of.moon), ("sun", of.sun)):
        entity.write(tmp_path, name)
    delegate = of.issue("ocsp", flags=("ocspSigning",))
    for signer in (of.ca, delegate):
        server = OcspServer(responder(of, of.sun, signer=signer).answer, lambda: of.crl())
        told = asyncio.run(asked(server, tmp_path, "moon"))
        assert "Response verify OK" in told and "moon.crt: good" in told
        assert "sun.crt: revoked" in asyncio.run(asked(server, tmp_path, "sun"))


def test_what_is_no_request() -> None:
    own = responder(chain("ecdsa"))
    for data in (b"", b"\x30\x03\x02\x01\x01", bytes(MAX_REQUEST + 1), b"\xff" * 100):
        assert status_of(own.answer(data)) is Status.MALFORMED_REQUEST


def test_another_ca_is_not_answered_for() -> None:
    other = chain("ed25519")
    request = ocsp.OCSPRequestBuilder().add_certificate(
        other.moon.certificate, other.ca.certificate, hashes.SHA256()
    )
    der = request.build().public_bytes(serialization.Encoding.DER)
    assert status_of(responder(chain("ecdsa")).answer(der)) is Status.UNAUTHORIZED


def test_http() -> None:
    of = chain("ecdsa")

    async def scenario() -> list[bytes]:
        server = OcspServer(responder(of).answer, lambda: of.crl())
        listening = await server.start("127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        answers = []
        async with listening:
            for request in (
                b"GET /ca.crl HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /ocsp/!!! HTTP/1.1\r\nHost: x\r\n\r\n",
                b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(20000),
                b"\x16\x03\x01nonsense\r\n\r\n",
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                try:
                    answers.append(await reader.read())
                except ConnectionResetError:
                    answers.append(b"")
                writer.close()
        return answers

    crl_, none, put, large, nonsense = asyncio.run(scenario())
    assert b" 200 " in crl_ and b"application/pkix-crl" in crl_
    assert b" 404 " in none and b" 405 " in put
    assert (large, nonsense) == (b"", b"")


def test_a_signer_needs_its_own_key() -> None:
    of = chain("ecdsa")
    with pytest.raises(ValueError, match="does not belong"):
        Responder(of.ca.certificate, of.moon.key, of.ca.certificate, lambda: crl.load(of.crl()))


def test_a_request_with_a_hash_that_nobody_knows() -> None:
    of = chain("ecdsa")
    builder = ocsp.OCSPRequestBuilder().add_certificate(of.moon.certificate, of.ca.certificate, hashes.SHA1())
    request = builder.build().public_bytes(serialization.Encoding.DER)
    oid = bytes.fromhex("06052b0e03021a")
    assert oid in request
    answer = responder(of).answer(request.replace(oid, bytes.fromhex("06052b1e03021a")))
    assert status_of(answer) is Status.MALFORMED_REQUEST
