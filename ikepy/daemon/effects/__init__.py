"""Runs what the IKE machine asks for, and gives it what it needs: jobs, time, randomness."""
