"""The worker: its SA database, egress, ingress, and the loop that serves devices and sockets."""
