"""`python -m qwen2vl_agent` is `qwen2vl-agent`."""

import sys

from qwen2vl_agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
