"""What the kernel and the workers report, and what follows from it."""
