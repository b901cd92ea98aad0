"""Plain types that every other package speaks. Imports nothing heavier than the standard library."""
