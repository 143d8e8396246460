"""The control socket: its clients, their commands, and what they are shown."""
