"""Any gymnasium environment that shows a picture, its actions as functions."""
