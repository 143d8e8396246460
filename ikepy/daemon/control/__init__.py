"""The control socket: its clients, their commands, and the answers."""
