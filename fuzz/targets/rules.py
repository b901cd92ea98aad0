"""TOML that people write: an agent's rules, and the user's own defaults."""

import os
import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fuzz.mutate import TEXTS, some_bytes, some_json, some_text
from fuzz.target import Check, Make, Target
from qwen2vl_agent.schema.errors import ConfigError

RULES = """
default = "auto"
[budget]
steps = 40
seconds = 600
[[rule]]
function = "open_app"
unless.name = ["Clock", "Settings"]
then = "deny"
[[rule]]
function = ["tap", "long_press"]
inside = [0, 900, 1000, 1000]
then = ["ask", "deny"]
auto_times = 2
reason = "it pays"
[[rule]]
function = "type_text"
when.text = { matches = '\\\\d{12,}' }
then = "deny"
[[rule]]
secret = "password:bank"
when.app = "com.example.bank"
then = "auto"
"""
DEFAULTS = '[run]\nserial = "R58"\nmax-steps = 40\n\n[serve]\nport = 9000\nhost = "127.0.0.1"\n'
PIECES = ("[", "]", "[[", "]]", "=", '"', "'", "{", "}", "\n", "[[rule]]\n", "then", "nan", "1979-05-27", "true", "0x",
          "[" * 1500, "a." * 1500, *TEXTS)  # fmt: skip


def _rules_file(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.agent.rules_file import read_rules

    path = folder / "rules.toml"

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return some_bytes(rng, RULES.encode())
        return some_text(rng, RULES, PIECES).encode("utf-8", "surrogatepass")

    def check(data: bytes) -> None:
        path.write_bytes(data)
        read_rules(path)

    return make, check


def _rules_values(folder: Path) -> tuple[Make, Check]:
    """What a file says, however it was written: values of every kind at every place, and judged by."""
    import tomllib

    from qwen2vl_agent.agent.rules import Judge
    from qwen2vl_agent.agent.rules_file import rules_from
    from qwen2vl_agent.schema.actions import PHONE_ACTIONS
    from qwen2vl_agent.schema.tools import ToolCall, to_action

    seed = tomllib.loads(RULES)
    call = ToolCall("type_text", {"text": "12345678901234567890"})
    action = to_action(call, PHONE_ACTIONS)

    def check(values: Any) -> None:
        rules = rules_from(values)
        Judge(rules, lambda: "com.example.bank").judge(call, action, somebody=True)

    return lambda rng: some_json(rng, seed), check


def _user_defaults(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.cli import COMMANDS
    from qwen2vl_agent.commands.run import Command
    from qwen2vl_agent.commands.user_config import VARIABLE, user_defaults

    path = folder / "config.toml"

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return some_bytes(rng, DEFAULTS.encode())
        return some_text(rng, DEFAULTS, PIECES).encode("utf-8", "surrogatepass")

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with patch.dict(os.environ, {VARIABLE: str(path)}):
            user_defaults("run", Command, COMMANDS)

    return make, check


TARGETS = (
    Target("toml.rules", (ConfigError,), _rules_file),
    Target("toml.rules.values", (ConfigError,), _rules_values),
    Target("toml.user", (ConfigError,), _user_defaults),
)
