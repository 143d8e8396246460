"""What is said of every key: in docs/configuration.md, and in the JSON schema."""
