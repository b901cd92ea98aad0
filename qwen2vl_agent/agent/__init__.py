"""The agent: looks, thinks and acts in an environment until its task is over, and records what it did."""
