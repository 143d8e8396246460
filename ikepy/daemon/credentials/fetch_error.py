"""The error of a fetch."""


class FetchError(Exception):
    """Nothing came. The text is for the log, bounded and printable."""
