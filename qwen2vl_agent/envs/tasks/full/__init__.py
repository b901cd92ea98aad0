"""Tasks of the full edition of the virtual phone, each with its own solution and check."""
