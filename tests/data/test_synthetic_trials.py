"""Stand-ins are read as the benchmarks are; trials ask for what is really there."""

import io
import itertools
import random
from pathlib import Path

import av
import numpy as np
import pytest

from qwen2vl_agent.commands.eval import score
from qwen2vl_agent.data.questions import questions
from qwen2vl_agent.data.synthetic import standins, trials
from qwen2vl_agent.data.synthetic.figures import COLOURS
from qwen2vl_agent.data.synthetic.fonts import writable
from qwen2vl_agent.data.synthetic.scripts import SCRIPTS, is_held_out
from qwen2vl_agent.data.synthetic.videos import film_with_event
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import ConfigError


@pytest.mark.parametrize("suite", standins.SUITES)
def test_a_stand_in_is_read_like_the_benchmark_and_its_own_answers_score_all(tmp_path, suite):
    standins.write(suite, tmp_path / "one", 8, seed=3)
    standins.write(suite, tmp_path / "two", 8, seed=3)
    asked = list(questions(suite, tmp_path / "one"))
    assert len(asked) == 8
    assert [score(suite, question.truths[0], question) for question in asked] == [1.0] * 8
    assert sum(score(suite, "nothing", question) for question in asked) < 4
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 9
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_a_stand_in_needs_a_folder_of_its_own(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ConfigError, match="something in it"):
        standins.write("docvqa", tmp_path, 2)
    with pytest.raises(ConfigError, match="no stand-in for 'cards'"):
        standins.write("cards", Path(tmp_path / "new"), 2)


def test_reading_is_asked_in_every_script_with_words_that_training_never_shows():
    asked = list(itertools.islice(trials.reading(1), 2 * len(writable())))
    assert [question.kind for question in asked] == [*writable(), *writable()]
    for question in asked:
        if SCRIPTS[question.kind].space:
            assert all(map(is_held_out, question.truths[0].split()))
        assert score("reading", question.truths[0], question) == 1.0
        assert score("reading", "", question) == 0.0


def test_a_colour_counts_only_where_it_is_the_only_one_named():
    question = next(trials.event(0))
    (right,) = question.truths
    assert score("event", f"The {right.upper()} one.", question) == 1.0
    assert score("event", ", ".join(question.options), question) == 0.0
    assert score("event", "none", question) == 0.0


def test_an_event_is_in_the_tenth_of_the_film_that_it_is_reported_under(monkeypatch):
    monkeypatch.setattr(trials, "EVENT_SECONDS", 60)
    for number, question in enumerate(itertools.islice(trials.event(4), 10)):
        film = question.messages[1].parts[0].video
        with av.open(io.BytesIO(film)) as container:
            frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        assert frames[-1][0] == pytest.approx(60 - 1 / trials.FILM_RATE, abs=0.01)
        wanted = np.array(COLOURS[question.truths[0]])
        there = [at for at, picture in frames if (np.abs(picture.astype(int) - wanted).max(2) < 40).mean() > 0.04]
        assert 0 < len(there) <= 2 * trials.FILM_RATE
        assert number * 5.8 - 1 <= there[0] <= (number + 1) * 5.8 + 1
        assert question.kind == f"{number * 10} to {number * 10 + 10} %"


def test_twenty_minutes_keep_within_the_budget_of_a_video():

    film = film_with_event(random.Random(0), 1200, 28, 0.5)
    height, width = VideoProcessor().frame_size(2400, film.side, film.side)
    assert 1200 * (height // 28) * (width // 28) <= 16_384
