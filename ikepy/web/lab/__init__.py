"""The window of `ikepy lab --web`: the picture, the ladder, a packet's way, and what can be broken."""
