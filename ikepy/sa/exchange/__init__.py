"""Parts of exchanges that several tasks share: children, key exchanges, mismatches in words, paths."""
