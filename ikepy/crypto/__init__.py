"""IKE's cryptography; the only package of IKE that imports `cryptography`."""
