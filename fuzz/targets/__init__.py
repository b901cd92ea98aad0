"""The targets, a file for each kind of thing that is read."""
