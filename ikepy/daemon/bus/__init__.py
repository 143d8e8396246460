"""The event bus: what happens, told to the log, to waiting clients, and to whoever subscribes."""
