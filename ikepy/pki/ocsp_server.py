"""A small HTTP server of OCSP (RFC 6960 A) and CRLs for labs: one request a connection, few at once."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import h11

SECONDS = 10.0  # for a request and its answer
READ = 4096  # octets at once
MOST_CLIENTS = 32
MAX_BODY = 8192
REQUEST_TYPE, RESPONSE_TYPE = b"application/ocsp-request", b"application/ocsp-response"
CRL_TYPE = b"application/pkix-crl"


class OcspServer:
    """Serves `answer`'s responses by POST and GET, and `crl`, in DER, at every path that ends in .crl.

    `crl` raises ValueError while there is none.
    """

    def __init__(self, answer: Callable[[bytes], bytes], crl: Callable[[], bytes]) -> None:
        self._answer = answer
        self._crl = crl
        self._clients = 0

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen. Raises OSError."""
        return await asyncio.start_server(self._serve, host, port, limit=READ)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= MOST_CLIENTS:
                with contextlib.suppress(OSError, TimeoutError, h11.ProtocolError):
                    async with asyncio.timeout(SECONDS):
                        await self._exchange(reader, writer)
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(READ))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    return
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return
        if request is not None:
            status, kind, data = self._respond(request, bytes(body))
            headers = [
                (b"Content-Type", kind),
                (b"Content-Length", b"%d" % len(data)),
                (b"Connection", b"close"),
            ]
            head = connection.send(h11.Response(status_code=status, headers=headers))
            writer.write((head or b"") + data)
            await writer.drain()

    def _respond(self, request: h11.Request, body: bytes) -> tuple[int, bytes, bytes]:
        path = request.target.partition(b"?")[0]
        if request.method == b"POST":
            return 200, RESPONSE_TYPE, self._answer(body)
        if request.method != b"GET":
            return 405, b"text/plain", b"GET and POST only\n"
        if path.endswith(b".crl"):
            try:
                return 200, CRL_TYPE, self._crl()
            except ValueError:
                return 503, b"text/plain", b"the CRL can't be read now\n"
        try:
            asked = b64decode(unquote_to_bytes(path.strip(b"/").rpartition(b"ocsp/")[2]), validate=True)
        except ValueError:
            return 404, b"text/plain", b"nothing is here\n"
        return 200, RESPONSE_TYPE, self._answer(asked)
