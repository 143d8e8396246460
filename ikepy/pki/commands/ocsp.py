"""`ikepy pki ocsp`: an OCSP responder for labs."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.interrupt import interruptible
from ikepy.pki import certificates, options
from ikepy.pki.ocsp import Responder
from ikepy.pki.ocsp_server import OcspServer


@click.command(
    epilog=examples(
        "ikepy pki ocsp --cacert ca.crt --cakey ca.key --crl ca.crl",
        "ikepy pki ocsp --cacert ca.crt --cert ocsp.crt --key ocsp.key --crl ca.crl --listen 192.0.2.7:8880",
    )
)
@click.option(
    "-c", "--cacert", type=options.FILE, required=True, metavar="FILE", help="The CA's certificate."
)
@click.option(
    "-k", "--cakey", type=options.FILE, metavar="FILE", help="The CA's private key, which signs; or"
)
@click.option("--cert", type=options.FILE, metavar="FILE", help="a certificate with --flag ocspSigning")
@click.option("--key", type=options.FILE, metavar="FILE", help="and its private key.")
@options.password_option
@click.option("-l", "--crl", "crl_file", type=options.FILE, required=True, metavar="FILE",
              help="The CRL that says what is revoked; it is read again for each answer.")  # fmt: skip
@click.option("--listen", default="127.0.0.1:8880", show_default=True, metavar="ADDRESS:PORT")
@options.guarded
def ocsp(
    cacert: Path,
    cakey: Path | None,
    cert: Path | None,
    key: Path | None,
    password_file: Path | None,
    crl_file: Path,
    listen: str,
) -> None:
    """Answer OCSP requests about a CA's certificates, for labs, until it is interrupted.

    It serves the CRL as well, at every path that ends in .crl. While that is another CA's, out of date or
    can't be read, the answer is "try later".
    """
    host, port = _endpoint(listen)
    if (cakey is None) == (key is None) or (key is None) != (cert is None):
        raise ValueError("give --cakey, or --cert with --key")
    ca = options.read_certificate(cacert)
    certificate = ca if cert is None else options.read_certificate(cert)
    signer = options.read_private(cakey or key, password_file)
    responder = Responder(ca, signer, certificate, lambda: options.read_crl(crl_file), options.say)
    server = OcspServer(responder.answer, lambda: certificates.encode(options.read_crl(crl_file), "der"))
    with interruptible(), contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(server, host, port))


async def _serve(server: OcspServer, host: str, port: int) -> None:
    try:
        listening = await server.start(host, port)
    except OSError as error:
        raise ValueError(f"{host}:{port}: {error.strerror or error}") from None
    where = listening.sockets[0].getsockname()
    click.echo(f"answers at http://{f'[{where[0]}]' if ':' in where[0] else where[0]}:{where[1]}/")
    async with listening:
        await listening.serve_forever()


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise ValueError(f'--listen "{text}"; allowed: an address and a port, as 127.0.0.1:8880') from None
    if not 0 <= number < 65536:
        raise ValueError(f"--listen: port {number}; allowed: 0 to 65535")
    return str(address), number
