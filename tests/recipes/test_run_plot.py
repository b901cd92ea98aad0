"""A run's pictures: one for each quantity that it told, and none of what it did not."""

import json

import pytest
from PIL import Image

from qwen2vl_agent.cli import main
from qwen2vl_agent.recipes.run_plot import QUANTITIES, draw_run, phases_of
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.metrics import METRICS_FILE, Window
from qwen2vl_agent.training.step import StepResult


def told(folder, steps: int, **more) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for step in range(1, steps + 1):
        window = Window()
        window.add(StepResult(tokens=90, padding=10, losses={"a": 8.0 / step, "b": 3.0}, targets={"a": 4, "b": 3}))
        lines.append(json.dumps({"step": step, **window.summary(), **more}) + "\n")
    (folder / METRICS_FILE).write_text("".join(lines), "utf-8")


def test_each_quantity_of_a_run_has_a_picture(tmp_path):
    told(tmp_path, 6, mfu=0.4, drift=0.0, memory_gib=1.5, slowness=1.0)
    drawn = draw_run(tmp_path)
    assert {path.stem for path in drawn} == {"loss", *QUANTITIES}
    with Image.open(tmp_path / "plots" / "loss.png") as loss:
        assert len(loss.convert("RGB").getcolors(10**6)) > 10


def test_what_a_run_never_told_is_not_drawn(tmp_path):
    told(tmp_path / "look", 3)
    told(tmp_path / "act", 3)
    assert list(phases_of(tmp_path)) == ["act", "look"]
    assert not {"mfu", "drift", "memory", "slowness"} & {path.stem for path in draw_run(tmp_path)}


def test_padding_is_a_part_of_all_tokens(tmp_path):
    told(tmp_path, 1)
    assert phases_of(tmp_path)[tmp_path.name][0]["padding"] == 0.1


def test_the_command_says_where_pictures_are_and_what_is_missing(tmp_path, capsys):
    told(tmp_path / "run", 2)
    assert main(["plot", str(tmp_path / "run"), "--out", str(tmp_path / "pictures"), "--json"]) == 0
    pictures = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["pictures"]
    assert str(tmp_path / "pictures" / "loss.png") in pictures
    assert main(["plot", str(tmp_path)]) == 0
    assert main(["plot", str(tmp_path / "nothing")]) == 2
    assert METRICS_FILE in capsys.readouterr().err
    with pytest.raises(ConfigError):
        phases_of(tmp_path / "pictures")
