"""A real llama.cpp server with a small random Qwen2-VL: our agent asks it, with screens, and records what it says."""

import os
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from llama_model import random_gguf
from PIL import Image

from qwen2vl_agent.agent.endpoint_policy import connect
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.dialogue.second_look import SecondLook
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.serve.running import bound_socket
from qwen2vl_agent.trajectory.store import read_episode

SOURCE = Path(os.environ.get("QWEN2VL_AGENT_LLAMA_CPP", "/nowhere"))
BUILT = SOURCE / "build" / "bin" / "llama-server"
PYTHON = os.environ.get("QWEN2VL_AGENT_XLLAMACPP", "")
"""A Python that has `xllamacpp`, in place of a built server."""
pytestmark = [
    pytest.mark.llama,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SOURCE.is_dir() and (PYTHON or BUILT.is_file())),
        reason="QWEN2VL_AGENT_LLAMA_CPP names no llama.cpp, or there is no server of it: docs/peers.md",
    ),
]
START_S = 240


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a llama.cpp server with a random model."""
    folder = tmp_path_factory.mktemp("llama")
    files = random_gguf(SOURCE, folder)
    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command(files, port), stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait()


def command(files, port):
    """What starts the server."""
    if PYTHON:
        program = Path(__file__).with_name("llama_program.py")
        return [PYTHON, str(program), str(files.language), str(files.vision), str(port)]
    models = ["-m", str(files.language), "--mmproj", str(files.vision)]
    return [str(BUILT), *models, "--jinja", "-c", "16384", "--parallel", "1", "-t", "1", "--port", str(port)]


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


def test_an_episode_with_screens_ends_in_calls_of_the_enforced_form(address, tmp_path):
    """Its chat template has no place for tools, so a required call never comes: the policy asks for a form instead."""
    policy = connect(address)
    env = make_env("virtual-phone", seed=1, size=(540, 1200))
    plan = EpisodePlan(out=tmp_path, task="settings.toggle", seed=1, model=address)
    trajectory = run_episode(env, policy, plan, AgentConfig(max_steps=3, max_frames=2, memory="summary"))
    env.close()
    assert policy.way == "schema"
    assert trajectory.steps
    assert all(step.call is not None for step in trajectory.steps), [step.reply.text for step in trajectory.steps]
    told = [step.reply.tokens["read"] + step.reply.tokens["cached"] for step in trajectory.steps]
    assert min(told) > 0
    assert read_episode(tmp_path) == trajectory


def test_it_takes_a_second_look(address, tmp_path):
    policy = connect(address)
    part = ImagePart(Image.new("RGB", (112, 224), "red"), "0" * 64, (112, 224))
    look = SecondLook(goal="Open it", said="tap", before=part, after=part)
    assert policy.effect(look) in (None, 0.0, 1.0)
