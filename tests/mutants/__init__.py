"""Mutation runs: one wrong sign after the other where it is a hole (README.md here)."""
