"""The sans-IO IKE machine: (datagram | command | tick, now) -> effects."""
