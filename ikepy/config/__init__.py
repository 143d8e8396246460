"""The configuration: its model, the sources that make it, and the checks of both."""
