"""`[authorities.NAME]`: CAs that are trusted, and where they tell what they have revoked (swanctl.conf)."""

from __future__ import annotations

from typing import Annotated

from ikepy.config import fields, values
from ikepy.config.credentials.credential_files import CaCertificate
from ikepy.config.section import Section

MAX_URI = 1024  # characters
MAX_URIS = 16


def uri(value: object) -> str:
    """An address that is fetched."""
    text = values.text(value)
    if not text.lower().startswith("http://") or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "must be an address that begins with http://; a CRL in a file belongs into the directory x509crl"
        )
    if len(text) > MAX_URI:
        raise ValueError(f"too long; allowed: at most {MAX_URI} characters")
    return text


Uris = Annotated[tuple[str, ...], fields.each(uri, most=MAX_URIS)]


class Authority(Section):
    """A CA. `crl_uris`, `ocsp_uris`: asked beside those that its certificates name."""

    cacert: CaCertificate
    crl_uris: Uris = ()
    ocsp_uris: Uris = ()
