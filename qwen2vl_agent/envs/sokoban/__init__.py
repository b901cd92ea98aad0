"""Sokoban: rooms drawn from the seed, and their shortest solutions."""
