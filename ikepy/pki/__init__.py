"""Certificates and keys made on the command line, in the words of strongSwan's pki(1): `ikepy pki`."""
