"""The OCSP responder, asked by openssl, and what is no request."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from ikepy.pki import certificates, crl
from ikepy.pki.ocsp import MAX_REQUEST, VALID, Responder
from ikepy.pki.ocsp_server import OcspServer
from tests.pki import Chain, Entity, chain

Status = ocsp.OCSPResponseStatus


def responder(of: Chain, *revoked: Entity, signer: Entity | None = None) -> Responder:
    signer = signer or of.ca
    data = of.crl(*revoked)
    return Responder(of.ca.certificate, signer.key, signer.certificate, lambda: crl.load(data), print)


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
    lists = iter([of.crl()])

    def crl_now() -> bytes:
        try:
            return next(lists)
        except StopIteration:
            raise ValueError("it can't be read") from None

    async def scenario() -> list[bytes]:
        server = OcspServer(responder(of).answer, crl_now)
        listening = await server.start("127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        answers = []
        async with listening:
            for request in (
                b"GET /ca.crl HTTP/1.1\r\nHost: x\r\n\r\n",
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

    crl_, later, none, put, large, nonsense = asyncio.run(scenario())
    assert b" 200 " in crl_ and b"application/pkix-crl" in crl_
    assert b" 503 " in later
    assert b" 404 " in none and b" 405 " in put
    assert (large, nonsense) == (b"", b"")


def test_a_signer_needs_its_own_key() -> None:
    of = chain("ecdsa")
    with pytest.raises(ValueError, match="does not belong"):
        Responder(of.ca.certificate, of.moon.key, of.ca.certificate, lambda: crl.load(of.crl()), print)


def test_a_request_with_a_hash_that_nobody_knows() -> None:
    of = chain("ecdsa")
    builder = ocsp.OCSPRequestBuilder().add_certificate(of.moon.certificate, of.ca.certificate, hashes.SHA1())
    request = builder.build().public_bytes(serialization.Encoding.DER)
    oid = bytes.fromhex("06052b0e03021a")
    assert oid in request
    answer = responder(of).answer(request.replace(oid, bytes.fromhex("06052b1e03021a")))
    assert status_of(answer) is Status.MALFORMED_REQUEST


def request_about(entity: Entity) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(entity.certificate, OF.ca.certificate, hashes.SHA1())
    return builder.build().public_bytes(serialization.Encoding.DER)


OF = chain("ecdsa")
NOW = datetime.now(UTC).replace(microsecond=0)


def listing(*extensions: x509.ExtensionType, minutes: float = 30, signer: Entity = OF.ca) -> bytes:
    """An empty CRL of OF's intermediate CA, which is out of date in so many minutes."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(OF.ca.certificate.subject)
    builder = builder.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(minutes=minutes))
    for one in extensions:
        builder = builder.add_extension(one, critical=True)
    return certificates.encode(builder.sign(signer.key, hashes.SHA256()), "der")


WRONG = {
    "another CA's": OF.crl(root=True),
    "not signed by": listing(signer=OF.root),
    "out of date": listing(minutes=-30),
    "delta CRL": listing(x509.DeltaCRLIndicator(1)),
    "some of the CA's": listing(x509.IssuingDistributionPoint(None, None, False, True, None, False, False)),
    "no CRL in PEM or DER": b"nothing",
}


@pytest.mark.parametrize("why", WRONG)
def test_a_list_that_does_not_say_who_is_not_revoked(why: str) -> None:
    """It starts by none, and answers by none that comes meanwhile."""
    given, told = [WRONG[why]], list[str]()
    ca = OF.ca.certificate
    with pytest.raises(ValueError, match=why):
        Responder(ca, OF.ca.key, ca, lambda: crl.load(given[-1]), told.append)
    given.append(OF.crl())
    own = Responder(ca, OF.ca.key, ca, lambda: crl.load(given[-1]), told.append)
    request = request_about(OF.moon)
    given.append(WRONG[why])
    assert [status_of(own.answer(request)) for _ in range(2)] == [Status.TRY_LATER] * 2
    assert len(told) == 1 and why in told[0]
    given.append(OF.crl(OF.moon))
    response = ocsp.load_der_ocsp_response(own.answer(request))
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED


@pytest.mark.parametrize("minutes", [30, 90])
def test_an_answer_holds_for_an_hour_and_no_longer_than_the_list(minutes: float) -> None:
    ca, data = OF.ca.certificate, listing(minutes=minutes)
    own = Responder(ca, OF.ca.key, ca, lambda: crl.load(data), print)
    response = ocsp.load_der_ocsp_response(own.answer(request_about(OF.moon)))
    assert response.next_update_utc == min(NOW + timedelta(minutes=minutes), response.this_update_utc + VALID)
