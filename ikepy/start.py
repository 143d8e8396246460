"""The entry point of the command `ikepy`: imports the rest so that Ctrl-C meanwhile shows no traceback."""

from ikepy.interrupt import interruptible


def main() -> None:
    """Run the command line."""
    with interruptible():
        from ikepy.cli import main as command_line
    command_line()
