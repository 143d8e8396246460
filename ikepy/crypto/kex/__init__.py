"""Key exchange methods: Diffie-Hellman groups, and whatever fits `method.KeyExchange` (RFC 7296 2.14)."""
