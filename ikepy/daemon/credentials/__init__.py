"""Certificates, CAs and revocation: the store, what it fetches, and what it says of a peer's certificate."""
