"""The control socket and its limits, and the daemon's state as clients are shown it."""
