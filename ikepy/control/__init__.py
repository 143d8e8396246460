"""Our own commands as clients of the daemon's VICI socket, and how they print what it answers."""
