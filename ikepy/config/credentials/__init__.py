"""Secrets, private keys, certificates: where a configuration names them, and how they are read."""
