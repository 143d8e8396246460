"""Carries out the IKE machine's effects, and gives it time, randomness and the results of jobs."""
