"""The flywheel: what agents did is checked, chosen and learned from, and a better model takes the old one's place."""
