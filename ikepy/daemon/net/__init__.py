"""The daemon's sockets and addresses: what is read in which order, and where a path leads."""
