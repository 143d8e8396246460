"""What the control socket's clients speak: strongSwan's VICI protocol, its commands and events."""
