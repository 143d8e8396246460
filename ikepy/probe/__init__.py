"""Tests other people's IKEv2: a peer that says anything, cases on it, and reports of what came."""
