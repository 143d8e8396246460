"""Reads IKE and ESP as an onlooker: every field of every message in words, decrypted where keys are known.

Nothing here takes part in a negotiation. Bytes are a stranger's: no function raises for what they hold, and
what is made of a message is bounded.
"""
