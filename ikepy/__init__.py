"""IKEv2 (RFC 7296) and the daemon around it: the control plane."""

__version__ = "0.1.0"
