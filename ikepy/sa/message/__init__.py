"""Message layer: request window, fragmentation, decryption, payload queries, cached responses."""
