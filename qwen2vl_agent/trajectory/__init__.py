"""Recorded episodes: written step by step, read back, kept private, and looked at."""
