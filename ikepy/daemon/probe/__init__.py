"""Measures round-trip times, loss and the path MTU of tunnels, by ICMP echo to configured addresses."""
