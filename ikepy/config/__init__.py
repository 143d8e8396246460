"""The configuration model and its sources."""
