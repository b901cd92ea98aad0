"""Waits and limits are measured by a clock that never jumps; the time of day is for people to read."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "qwen2vl_agent"
TIME_OF_DAY = {"time", "time_ns", "now", "today", "utcnow"}
TOLD = {
    "agent/episode.py",  # the name of a run's folder
    "serve/chat_reply.py",  # `created` of OpenAI's answers
    "trajectory/privacy.py",  # how many days ago a record was made
}


def readers_of_the_time_of_day() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TIME_OF_DAY:
                owner = ast.unparse(node.func.value)
                if owner in ("time", "datetime", "date", "datetime.datetime", "datetime.date"):
                    found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_nothing_waits_or_ends_by_the_time_of_day():
    assert readers_of_the_time_of_day() == TOLD
