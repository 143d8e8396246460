"""What a process may do and gets: its user, its capabilities, its priority, private memory."""
