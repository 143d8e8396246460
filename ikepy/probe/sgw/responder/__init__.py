"""SGW.R.*: the gateway under test responds, the probe initiates."""
