"""The only door to `cryptography` for IKE."""
