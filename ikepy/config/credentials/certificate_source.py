"""Reads certificates and public keys that a configuration names, in PEM or DER; VICI brings what files hold.

A relative path starts at the directory `x509`, `x509ca` or `pubkey` beside the configuration file, as with
swanctl, or else at that file's own directory. They are public: no message needs to hide anything of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from pydantic import PlainValidator, ValidationInfo
from pydantic_core import InitErrorDetails

from ikepy.config import fields, values
from ikepy.config.credentials import credential_files
from ikepy.config.credentials.credential_files import Kind
from ikepy.config.identity import Identity
from ikepy.crypto.x509 import certificate, public_key

MOST = 64  # certificates or keys of one list


def certificate_list() -> PlainValidator:
    """X.509 certificates, as DER."""
    return _list(lambda data: certificate.certificate(data).der, credential_files.X509)


def ca_list() -> PlainValidator:
    """X.509 certificates of CAs, as DER."""
    return _list(lambda data: credential_files.ca_certificate(data).der, credential_files.X509CA)


def public_key_list() -> PlainValidator:
    """Raw public keys, as DER SubjectPublicKeyInfos."""
    return _list(lambda data: public_key.public_key(data).der, credential_files.PUBKEY)


@lru_cache(maxsize=4096)
def subject(der: bytes) -> Identity:
    """Whose certificate it is; one that was read before, when the configuration was."""
    return Identity.of_name(certificate.certificate(der).subject)


def _list(read: Callable[[bytes], bytes], kind: Kind) -> PlainValidator:
    def validate(value: object, info: ValidationInfo) -> tuple[bytes, ...]:
        elements = values.listed(value)
        if len(elements) > MOST:
            raise ValueError(f"allowed: at most {MOST}")
        found: list[bytes] = []
        problems: list[InitErrorDetails] = []
        for index, element in enumerate(elements):
            try:
                found.append(read(credential_files.content(element, info, kind)))
            except ValueError as error:
                problems.append(fields.problem((index,), str(error)))
        if problems:
            raise fields.fail(problems)
        return tuple(dict.fromkeys(found))

    return PlainValidator(validate)
