"""The control plane: IKEv2 (RFC 7296) and the daemon around it."""

__version__ = "0.1.0"
