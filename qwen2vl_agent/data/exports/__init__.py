"""Recorded episodes in the formats of other trainers and tools."""
