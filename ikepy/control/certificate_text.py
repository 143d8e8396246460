"""What the daemon lists of certificates, CRLs and raw public keys, as text for people (`ikepy pki print`)."""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.control.client import Message
from ikepy.control.texts import word
from ikepy.pki import showing

KINDS = {
    "X509": "certificate",
    "X509_CRL": "CRL",
    "PUBKEY": "raw public key",
}
FLAGS = {"CA": ", of a CA", "OCSP": ", of an OCSP responder"}


def text(listed: Message) -> Iterator[str]:
    """The lines of a list-cert event."""
    kind = word(listed, "type")
    key = ", with its private key" if word(listed, "has_privkey") == "yes" else ""
    yield f"{KINDS.get(kind, kind)}{FLAGS.get(word(listed, 'flag'), '')}{key}:"
    der = word(listed, "data").encode(errors="surrogateescape")
    try:
        yield from (f"  {line}" for line in showing.of_der(kind, der))
    except ValueError:
        yield f"  {len(der)} octets"
