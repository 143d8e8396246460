"""Negotiation as pure functions: proposals, traffic selectors, collisions, NAT detection."""
