"""An episode that runs in a thread, with a live page on it."""

import threading
from contextlib import contextmanager
from pathlib import Path

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.rules import Rules
from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.serve.live_page import serving_live_page
from qwen2vl_agent.trajectory.store import read_episode

ASK_TAPS = rules_from({"rule": [{"function": "tap", "then": "ask", "reason": "taps are <b>asked</b> about"}]})


class Watched:
    """The episode: its page's address, and its record when it has ended."""

    def __init__(self, folder: Path, live, url: str) -> None:
        self.folder, self.live, self.url = folder, live, url

    @property
    def record(self):
        return read_episode(self.folder)


@contextmanager
def watched(folder: Path, rules: Rules | None = None, policy: str = "oracle", pause_first: bool = False):
    """Runs until the block ends; what still runs then is stopped."""
    env = make_env("virtual-phone", seed=1)
    with serving_live_page() as (live, url):
        if pause_first:
            live.controls.pause()
        plan = EpisodePlan(out=folder, task="settings.toggle", seed=1, rules=rules or Rules())
        given = (env, scripted_policy(policy), plan, AgentConfig(max_steps=30), live, drive_plainly, live.controls)
        thread = threading.Thread(target=run_episode, args=given, daemon=True)
        thread.start()
        try:
            yield Watched(folder, live, url)
        finally:
            live.controls.stop()
            thread.join(60)
            env.close()
