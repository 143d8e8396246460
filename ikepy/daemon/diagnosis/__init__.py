"""What each tunnel waits for, why, and what to do: `ikepy status`."""
