"""One file a command of `ikepy pki`."""
