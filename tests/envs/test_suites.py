"""Suites, and the episodes of a measurement."""

import pytest

from qwen2vl_agent.bench.result import Conditions
from qwen2vl_agent.bench.run import bench_jobs
from qwen2vl_agent.envs.suite import group_of
from qwen2vl_agent.envs.suites import episode_seed, get_suite, suites
from qwen2vl_agent.schema.errors import ConfigError


def test_the_apps_suites_share_out_the_whole_phones_tasks():
    known = {name: suite for name, suite in suites().items() if suite.env == "virtual-phone"}
    whole = known.pop("phone")
    for edition in ("full", "zh", "ja", "ar"):
        tasks = known.pop(f"phone-{edition}").tasks
        assert tasks[: len(whole.tasks)] == tuple(f"{edition}.{task}" for task in whole.tasks)
    assert sorted(task for suite in known.values() for task in suite.tasks) == sorted(whole.tasks)
    assert all(group_of(task) == name for name, suite in known.items() for task in suite.tasks)


def test_a_task_is_a_suite_of_its_own():
    assert get_suite("settings.toggle").tasks == ("settings.toggle",)


def test_a_gymnasium_id_is_a_suite_of_its_own():
    suite = get_suite("FrozenLake8x8-v1")
    assert (suite.tasks, suite.env, suite.env_kwargs) == (("FrozenLake8x8-v1",), "gym", {"env_id": "FrozenLake8x8-v1"})
    assert get_suite("ALE/Pong-v5").tasks == ("ALE/Pong-v5",)


def test_an_unknown_suite_is_answered_with_those_that_are():
    with pytest.raises(ConfigError, match="there is no suite 'setings'; there are phone, "):
        get_suite("setings")


def test_every_task_has_an_example_of_its_goal():
    suite = get_suite("settings")
    assert all(len(suite.example(task)) > 5 for task in suite.tasks)


def test_a_measurement_runs_each_task_so_many_times_on_seeds_of_its_own():
    conditions = Conditions("settings", "noop", episodes=3, seed=2, blind=True)
    jobs = bench_jobs(conditions)
    assert len({job.name for job in jobs}) == len(jobs) == 3 * len(get_suite("settings").tasks)
    assert {job.seed for job in jobs} == {2_000_000, 2_000_001, 2_000_002}
    assert {(job.split, job.policy, job.agent.blind) for job in jobs} == {("test", "noop", True)}


def test_two_runs_share_no_seed():
    assert not {episode_seed(1, i) for i in range(1000)} & {episode_seed(2, i) for i in range(1000)}


def test_phones_of_training_can_be_measured_on_too():
    jobs = bench_jobs(Conditions("settings.toggle", "noop", episodes=4, split="train"))
    demonstrated = {number for number in range(4) if number % 2 == 0}  # tiny_data.demonstrate
    assert {job.split for job in jobs} == {"train"}
    assert demonstrated <= {job.seed for job in jobs}
