"""State of IKE_SAs and CHILD_SAs: phases, lifetimes, tables, task queue. Knows no single task."""
