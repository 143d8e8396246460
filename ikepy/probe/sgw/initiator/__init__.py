"""SGW.I.*: the gateway under test initiates, the probe responds."""
