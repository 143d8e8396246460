"""The second control socket, which speaks the VICI protocol of strongSwan: `swanctl` and scripts use it."""
