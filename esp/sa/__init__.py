"""Security associations: cipher suites, inbound and outbound SAs, batches under one SA or many. No I/O."""
