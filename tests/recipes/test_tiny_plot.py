"""The picture of a training shows every phase that has begun, and nothing where none has."""

import json

from PIL import Image

from qwen2vl_agent.recipes.tiny_plot import PANEL, SKILLS_FILE, draw_progress, moving_average
from qwen2vl_agent.recipes.tiny_skills import Skills
from qwen2vl_agent.training.metrics import METRICS_FILE

PHASES = ("look", "act")


def write_phase(folder, steps: int) -> None:
    folder.mkdir(parents=True)
    lines = [{"step": 20 * step, "losses": {"drills": 2 / step, "icons": 0.0}} for step in range(1, steps + 1)]
    (folder / METRICS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))


def panels(picture) -> float:
    with Image.open(picture) as image:
        width, height = image.size
    return width / height / (PANEL[0] / PANEL[1])


def test_there_is_no_picture_of_nothing(tmp_path):
    assert draw_progress(tmp_path, PHASES) is None


def test_each_phase_and_each_score_has_a_panel(tmp_path):
    write_phase(tmp_path / "look", 9)
    assert round(panels(draw_progress(tmp_path, PHASES))) == 1
    write_phase(tmp_path / "act", 9)
    assert round(panels(draw_progress(tmp_path, PHASES))) == 2
    scores = {name: Skills().to_json() for name in ("seen", "blind")}
    (tmp_path / "act" / SKILLS_FILE).write_text(json.dumps(scores))
    assert round(panels(draw_progress(tmp_path, PHASES))) == 3


def test_a_moving_average_begins_with_what_there_is():
    assert moving_average([4.0, 2.0, 0.0, 7.0], 3) == [4.0, 3.0, 2.0, 3.0]
