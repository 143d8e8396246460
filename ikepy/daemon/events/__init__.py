"""Acts on what the kernel and the workers report: addresses, devices, traffic, deaths."""
