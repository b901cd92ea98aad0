"""Training by several processes, applied from outside: the model knows nothing of it."""
