"""One module for each command: a small dataclass of flags, and `run()`, which calls the rooms that do the work.

They are imported only once a command is chosen, so that `qwen2vl-agent --help` answers at once.
"""
