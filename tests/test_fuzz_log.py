"""The count of fuzz cases over many runs."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from fuzz.log import add_run
from fuzz.running import Result
from fuzz.target import Finding


def test_runs_add_up_and_findings_of_one_place_are_kept_once(tmp_path):
    result = Result("image", first=0, cases=30, taken=10, seconds=1.0)
    for case in (3, 4):
        result.add(Finding("image", case, "TypeError", "x.py:1", "told"))
    assert add_run(tmp_path / "log.json", 1, result) == 30
    assert add_run(tmp_path / "log.json", 2, Result("video", 0, 12)) == 42
    log = json.loads((tmp_path / "log.json").read_text())
    assert [run["cases"] for run in log["runs"]] == [30, 12]
    assert [finding["case"] for finding in log["runs"][0]["findings"]] == [3]
