"""Tests of ikepy.control."""
