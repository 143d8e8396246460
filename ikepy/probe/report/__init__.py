"""What a run found, as text, JSON, JUnit XML and a page; and each case's packets and keys."""
