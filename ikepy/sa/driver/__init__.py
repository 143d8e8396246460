"""Moves one IKE_SA: what arrives, whose turn it is, and what the clock brings."""
