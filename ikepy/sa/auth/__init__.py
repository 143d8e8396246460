"""Methods of authentication, one file a method, and their common interface (RFC 7296 2.15, 2.16)."""
