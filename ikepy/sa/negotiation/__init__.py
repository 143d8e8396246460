"""What two ends agree on, as values: proposals, traffic selectors, collisions, NAT detection."""
