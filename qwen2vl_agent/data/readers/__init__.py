"""Readers of other people's records: one module for each format."""
