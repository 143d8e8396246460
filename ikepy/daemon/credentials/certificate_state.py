"""What is shown of a certificate: whose it is, and until when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateState:
    """`connection`: the one that names it, "" if any may use it. `serial`: in hex digits. `expires_at`: in
    seconds since 1970."""

    connection: str
    subject: str
    serial: str
    is_ca: bool
    expires_at: float
