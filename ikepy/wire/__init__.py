"""Bytes <-> values of IKEv2 messages. No keys, no policy, no I/O, no state."""
