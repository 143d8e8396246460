"""The process that has the private keys, and parses nothing from the network."""
