"""The formats that a configuration is read from; each makes the table that `toml_source` validates."""
