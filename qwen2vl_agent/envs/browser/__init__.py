"""A browser as a device: Chromium, seen as pixels and operated with mouse and keyboard only."""
