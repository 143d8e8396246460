"""The privileged process: it does for an unprivileged control what needs rights, and checks each request."""
