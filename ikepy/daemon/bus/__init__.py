"""The event bus: gives events to the log, to waiting clients and to other subscribers."""
