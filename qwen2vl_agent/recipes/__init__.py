"""Functions that return or run a complete configuration: the three stages, and small models."""
