"""One end of a TLS 1.2 or 1.3 handshake over bytes, for EAP-TLS (RFC 5216, RFC 9190).

By pyOpenSSL and not Python's `ssl`, which has no exporter (RFC 5705), from which EAP takes its keys. Both
ends show certificates. OpenSSL only checks that the other end holds its key: whether its chain is trusted
is for the caller to decide, before it sends what `step` gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from OpenSSL import SSL, crypto

from ikepy.crypto.secret import Secret
from ikepy.errors import ConfigError

# Forward secrecy and AEAD; CBC with SHA-2 for charon's and older servers.
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!SHA1:!MD5:!3DES"
MAX_CHAIN = 16  # certificates
READ = 65536  # octets at once
MOST_CONTEXTS = 8  # credentials that are kept ready


@dataclass(frozen=True, slots=True)
class TlsCredential:
    """`chain`: DER, end entity first. `key`: PKCS#8, DER, without encryption."""

    chain: tuple[bytes, ...]
    key: Secret


class TlsEnd:
    """A handshake and what follows. `error`: why it failed, "" if it did not; `done`: the handshake is
    over.
    """

    def __init__(self, credential: TlsCredential, *, server: bool) -> None:
        """ConfigError if key and certificate are of no use to TLS, or don't belong to each other."""
        self._connection = SSL.Connection(CONTEXTS.of(credential), None)
        if server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self.done = False
        self.error = ""
        self.data = b""  # what the other end sent within TLS

    def step(self, octets: bytes) -> bytes:
        """Take what the other end sent, and return what goes back: perhaps an alert, with `error`."""
        try:
            if octets:
                self._connection.bio_write(octets)
            if not self.done:
                self._connection.do_handshake()
                self.done = True
            self.data += self._connection.recv(READ)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.error = "the other end closed TLS"
        except SSL.Error as error:
            self.error = _reason(error)
        return self._output()

    def write(self, data: bytes) -> bytes:
        """Protect `data`, once the handshake is done."""
        self._connection.send(data)
        return self._output()

    @property
    def is_1_3(self) -> bool:
        return self._connection.get_protocol_version() >= SSL.TLS1_3_VERSION

    @property
    def version(self) -> str:
        return self._connection.get_protocol_version_name()

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """The other end's certificates, DER, end entity first; empty before they came. Nobody has read them
        but OpenSSL, which takes some that are malformed."""
        own = self._connection.get_peer_certificate()
        if own is None:
            return ()
        chain = [own, *(self._connection.get_peer_cert_chain() or [])[: MAX_CHAIN + 1]]
        found = dict.fromkeys(crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in chain)
        return tuple(found)[:MAX_CHAIN]

    def export(self, label: bytes, size: int, context: bytes | None = None) -> Secret:
        """Keys from the handshake (RFC 5705, RFC 8446 7.5), `size` octets."""
        return Secret(self._connection.export_keying_material(label, size, context))

    def _output(self) -> bytes:
        try:
            parts = []
            while True:
                parts.append(self._connection.bio_read(READ))
        except SSL.WantReadError:
            return b"".join(parts)


class Contexts:
    """Contexts of credentials: to read and check a private key takes longer than a handshake.

    They are shared by all conversations, of which none can resume another.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[bytes, SSL.Context] = {}  # by a hash of the credential, oldest first

    def of(self, credential: TlsCredential) -> SSL.Context:
        """ConfigError as `TlsEnd`."""
        name = sha256(b"".join((credential.key.expose(), *credential.chain))).digest()
        with self._lock:
            if name not in self._found:
                made = _context(credential)
                while len(self._found) >= MOST_CONTEXTS:
                    del self._found[next(iter(self._found))]
                self._found[name] = made
            return self._found[name]

    def clear(self) -> None:
        """Keep none ready any more."""
        with self._lock:
            self._found.clear()


CONTEXTS = Contexts()


def _context(credential: TlsCredential) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION)
    # charon does not say that it renegotiates safely (RFC 5746): nobody renegotiates here.
    context.set_options(SSL.OP_LEGACY_SERVER_CONNECT)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # nobody resumes without its certificate
    context.set_cipher_list(CIPHERS)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _leave_to_caller)
    try:
        first, *others = (x509.load_der_x509_certificate(one) for one in credential.chain)
        context.use_certificate(first)
        for other in others:
            context.add_extra_chain_cert(other)
        context.use_privatekey(load_der_private_key(credential.key.expose(), None))  # type: ignore[arg-type]
        context.check_privatekey()
    except (ValueError, TypeError, SSL.Error) as error:
        raise ConfigError("EAP-TLS", [("", f"certificate or private key: {_reason(error)}")]) from None
    return context


def _leave_to_caller(*_: object) -> bool:
    return True


def _reason(error: Exception) -> str:
    """OpenSSL's words for an error."""
    entries = error.args[0] if error.args else ()
    if isinstance(entries, list | tuple) and entries:
        return str(entries[-1][-1])
    return str(error) or "TLS ended"
