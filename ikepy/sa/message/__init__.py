"""Messages as such: the window, fragments, protection, queries for payloads, kept responses."""
