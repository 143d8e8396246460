"""Replaces, moves and ends whole IKE_SAs: reauthentication, uniqueness, roaming, teardown, commands."""
