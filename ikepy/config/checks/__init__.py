"""What a configuration as a whole gets wrong, or probably did not intend."""
