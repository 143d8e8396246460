"""Hostile input against the whole machine, one test each (what no peer sends that means well)."""
