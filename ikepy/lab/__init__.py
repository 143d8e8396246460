"""The pictures of the lab, built out of network namespaces."""
