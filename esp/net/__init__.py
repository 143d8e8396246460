"""The sockets that carry ESP: ancillary data, many messages a call, BPF steering, when to read."""
