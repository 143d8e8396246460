"""What is known of an IKE_SA and its CHILD_SAs, and what may follow what. Knows no task by name."""
