"""Other agents' ways to write actions, read into our calls and written from them. Pure functions."""
