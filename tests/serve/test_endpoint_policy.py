"""A model over the network acts as the same model in the process does, and is recorded as exactly."""

import json

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.agent.endpoint_policy import connect
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.model_policy import ModelPolicy
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan, taught_settings
from qwen2vl_agent.agent.verify import verify
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.errors import OperatorError
from qwen2vl_agent.trajectory.store import read_episode

TASKS = ("settings.toggle", "clock.add_labelled_alarm", "messages.send")


def episode(policy, folder, task, max_steps=6):
    env = make_env("virtual-phone", seed=1)
    try:
        told = getattr(policy, "agent_settings", None)
        config = AgentConfig.from_json({**(told or taught_settings(str(EMBEDDED)).to_json()), "max_steps": max_steps})
        return run_episode(env, policy, EpisodePlan(out=folder, task=task, seed=1), config)
    finally:
        env.close()


@pytest.mark.parametrize("task", TASKS)
def test_the_calls_tokens_and_prompts_are_those_of_the_model_in_the_process(loaded, url, tmp_path, task):
    near = episode(ModelPolicy(*loaded), tmp_path / "near", task).steps
    far = episode(connect(f"{url}/v1"), tmp_path / "far", task).steps
    assert len(near) > 1
    assert [step.call for step in far] == [step.call for step in near]
    assert [step.reply.text for step in far] == [step.reply.text for step in near]
    assert [step.reply.token_ids for step in far] == [step.reply.token_ids for step in near]
    assert [step.reply.prompt_ids for step in far] == [step.reply.prompt_ids for step in near]
    assert [step.reply.forced for step in far] == [step.reply.forced for step in near]


def test_the_record_verifies_against_the_model(loaded, url, tmp_path):
    episode(connect(f"{url}/v1"), tmp_path / "far", "settings.toggle")
    found = verify(tmp_path / "far", *loaded)
    assert found.steps > 1
    assert found.equal()


def test_a_served_model_reads_only_what_is_new(url, tmp_path):
    steps = episode(connect(f"{url}/v1"), tmp_path / "far", "settings.toggle").steps
    assert all(step.reply.tokens["cached"] > step.reply.tokens["read"] for step in steps[1:])


def test_the_command_runs_with_an_address(url, tmp_path, capsys):
    out = tmp_path / "episode"
    flags = ["--model", f"{url}/v1", "--task", "settings.toggle", "--serial", "virtual", "--out", str(out), "--json"]
    assert cli.main(["run", *flags]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["outcome"] == "success"
    assert read_episode(out).header.model == f"{url}/v1"


@pytest.mark.parametrize("command", [["bench", "settings.toggle"], ["collect", "--suite", "settings.toggle"]])
def test_many_episodes_are_run_with_an_address_too(url, tmp_path, capsys, command):
    flags = ["--policy", "model", "--model", f"{url}/v1", "--episodes", "1", "--workers", "1", "--out", str(tmp_path)]
    settings = ["--set", "max_steps=2", "--set", "memory=summary"]
    status = cli.main([*command, *flags, *settings, "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0, told
    (folder,) = (path.parent for path in tmp_path.glob("*/episode.json"))
    header = read_episode(folder).header
    assert header.model == f"{url}/v1"
    assert (header.config["agent"]["detail"], header.config["agent"]["memory"]) == ("bare", "summary")
    assert 1 <= len(read_episode(folder).steps) <= 2
    assert read_episode(folder).steps[0].reply.token_ids


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:1/v1", "does not answer after 4 tries"),
        ("{url}/v1#other", "has the models tiny"),
        ("{url}", "there is no GET /models"),
        ("http://me:secret@127.0.0.1/v1", "password"),
        ("http:///v1", "no address"),
    ],
)
def test_a_model_that_is_not_there_is_told_in_one_line(url, address, told, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(OperatorError, match=told) as caught:
        connect(address.format(url=url))
    assert "\n" not in str(caught.value)
