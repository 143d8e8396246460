"""What control and worker share: messages over a socket pair, counters in memory."""
