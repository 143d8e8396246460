"""Parts of exchanges that several tasks share: CHILD_SA negotiation, key exchanges, path updates, and texts
that explain refusals."""
