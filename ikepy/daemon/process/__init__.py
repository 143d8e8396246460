"""What a process may do (its user, capabilities, scheduling policy, private memory) and what it has used."""
