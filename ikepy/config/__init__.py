"""The configuration: its model, its TOML source and the checks of both."""
