"""Certificates, revocation, and what a certificate is to be believed for (RFC 5280, RFC 4945). No I/O."""
