"""Starts, feeds, watches and replaces the worker processes; and the program that they run."""
