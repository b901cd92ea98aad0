"""One trainer for the three stages: losses, optimizers, checkpoints, and jobs of several processes."""
