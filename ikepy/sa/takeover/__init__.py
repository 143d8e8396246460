"""Hands an established IKE_SA from one machine to another, as a versioned value that can be sealed."""
