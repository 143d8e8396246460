"""Whole machines in virtual time, one seed a run: `python -m tests.simulation SEED` replays one."""
