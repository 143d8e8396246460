"""Encodes and decodes IKEv2 messages (RFC 7296 section 3). No keys, no policy, no I/O, no state."""
