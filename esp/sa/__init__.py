"""Security associations: cipher suites, inbound and outbound SAs, batches under many SAs. No I/O."""
