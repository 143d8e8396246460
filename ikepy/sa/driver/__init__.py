"""Drives one IKE_SA: dispatches messages, gives the tasks their turns, runs the timers."""
