"""Hostile input for every parser and reader of the package: `python -m fuzz --cases 100000`."""
