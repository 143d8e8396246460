"""`ikepy probe conformance`: its options, what is made of them, and the run."""
