"""A job is recognised in its record, one of an older version too."""

from dataclasses import replace
from pathlib import Path

import pytest

from qwen2vl_agent.agent.jobs import Job, check_same_job, job_notes
from qwen2vl_agent.agent.settings import AgentConfig
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.trajectory import EpisodeHeader

JOB = Job(task="settings.toggle", seed=3, noise=0.25, agent=AgentConfig(detail="bare"))


def header(notes: dict) -> EpisodeHeader:
    return EpisodeHeader("settings.toggle", "a goal", "virtual-phone", "oracle", 3, config={"job": notes})


def test_settings_that_an_older_version_had_not_yet_had_their_default_then(tmp_path: Path) -> None:
    older = {name: value for name, value in job_notes(JOB).items() if name != "loading"}
    older["agent"] = {name: value for name, value in older["agent"].items() if name != "max_context_tokens"}
    check_same_job(tmp_path, header(older), JOB)
    loading = {name: value for name, value in job_notes(JOB)["loading"].items() if name != "compute"}
    check_same_job(tmp_path, header({**older, "loading": loading}), JOB)
    with pytest.raises(RecordError, match=r"other settings \(agent\)"):
        check_same_job(tmp_path, header(older), replace(JOB, agent=AgentConfig(detail="bare", max_context_tokens=900)))
    with pytest.raises(RecordError, match=r"other settings \(noise\)"):
        check_same_job(tmp_path, header({**older, "noise": 0.5}), JOB)


def test_a_record_of_no_job_is_of_another() -> None:
    with pytest.raises(RecordError, match="other settings"):
        check_same_job(Path("somewhere"), replace(header({}), config={}), JOB)
