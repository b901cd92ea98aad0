"""A real llama.cpp server with a small random Qwen2-VL: our agent asks it, with screens, and records what it says."""

import os
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from llama_model import random_gguf

from qwen2vl_agent.agent.endpoint_policy import connect
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.serve.running import bound_socket
from qwen2vl_agent.trajectory.store import read_episode

SOURCE = Path(os.environ.get("QWEN2VL_AGENT_LLAMA_CPP", "/nowhere"))
SERVER = SOURCE / "build" / "bin" / "llama-server"
pytestmark = [
    pytest.mark.llama,
    pytest.mark.slow,
    pytest.mark.skipif(not SERVER.is_file(), reason="QWEN2VL_AGENT_LLAMA_CPP names no built llama.cpp: docs/peers.md"),
]
START_S = 120


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a llama.cpp server with a random model."""
    folder = tmp_path_factory.mktemp("llama")
    files = random_gguf(SOURCE, folder)
    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    flags = ["--jinja", "-c", "16384", "--parallel", "1", "-t", "1", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        models = ["-m", str(files.language), "--mmproj", str(files.vision)]
        server = subprocess.Popen([str(SERVER), *models, *flags], stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait()


def wait_for(url, server, log):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(log.read_text("utf-8", "replace")[-2000:])


def test_an_episode_with_a_required_call_at_each_step(address, tmp_path):
    policy = connect(address)
    env = make_env("virtual-phone", seed=1, size=(540, 1200))
    plan = EpisodePlan(out=tmp_path, task="settings.toggle", seed=1, model=address)
    trajectory = run_episode(env, policy, plan, AgentConfig(max_steps=3, max_frames=2, memory="summary"))
    env.close()
    assert policy.way == "required"
    assert len(trajectory.steps) >= 1
    assert any(step.call is not None for step in trajectory.steps), [step.error for step in trajectory.steps]
    assert all(step.reply.tokens["read"] + step.reply.tokens["cached"] > 40 for step in trajectory.steps), "screens"
    assert read_episode(tmp_path) == trajectory


def test_a_form_by_schema_and_free_words_are_understood_too(address, tmp_path):
    env = make_env("virtual-phone", seed=1, size=(540, 1200))
    for number, ways in enumerate((["schema"], ["text"])):
        policy = connect(address)
        policy._ways[:] = ways
        plan = EpisodePlan(out=tmp_path / str(number), task="settings.toggle", seed=1)
        steps = run_episode(env, policy, plan, AgentConfig(max_steps=2)).steps
        assert len(steps) == 2
        assert all(step.reply.text for step in steps)
        if ways == ["schema"]:
            assert all(step.call is not None for step in steps), [step.reply.text for step in steps]
    env.close()


def test_it_takes_a_second_look(address, tmp_path):
    env = make_env("virtual-phone", seed=1, size=(540, 1200))
    plan = EpisodePlan(out=tmp_path, task="settings.toggle", seed=1)
    steps = run_episode(env, connect(address), plan, AgentConfig(max_steps=2, second_look=True)).steps
    env.close()
    acted = [step for step in steps if step.performed and "unchanged" not in step.events]
    assert all("second_look" in step.timings for step in acted[:-1])
