"""A desktop as a device: the user's own screen or a virtual one, seen as pixels, operated with mouse and keyboard."""
