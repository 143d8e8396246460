"""Handling of unauthenticated peers: cookies, CPU budget, authentication failures, connections."""
