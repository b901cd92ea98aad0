"""A count of fuzz cases that grows over many runs, and what it tells."""

import json
import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent.parent))
from fuzz import campaign as campaigns
from fuzz.log import add_run, next_case, read_log
from fuzz.running import Result
from fuzz.target import Finding, Target

ROOT = Path(__file__).parents[1]


def done(name="image", first=0, cases=10, findings=()):
    return Result(name, first, cases, taken=4, seconds=1.0, findings=list(findings))


def test_a_run_that_goes_on_where_another_ended_is_one_run(tmp_path):
    log = tmp_path / "log.json"
    found = Finding("image", 3, "TypeError", "x.py:1", "told")
    add_run(log, 7, done(findings=[found]))
    add_run(log, 7, done(first=10, cases=5, findings=[found, Finding("image", 12, "KeyError", "x.py:2", "told")]))
    add_run(log, 8, done(first=15))
    add_run(log, 7, done(first=100))
    runs = read_log(log)["runs"]
    assert [(run["seed"], run["first"], run["cases"]) for run in runs] == [(7, 0, 15), (8, 15, 10), (7, 100, 10)]
    assert [finding["kind"] for finding in runs[0]["findings"]] == ["TypeError", "KeyError"]
    assert next_case(read_log(log), "image", 7) == 110
    assert next_case(read_log(log), "image", 9) == 0


def test_a_campaign_goes_round_until_the_log_is_full_and_leaves_out_what_cannot_start(tmp_path, monkeypatch):
    log, asked = tmp_path / "log.json", []

    def run_targets(names, cases, seed, first, seconds, console):
        asked.append((names[0], first))
        yield Result(names[0], first, 0 if names[0] == "broken" else min(cases, 40))

    monkeypatch.setattr(campaigns, "run_targets", run_targets)
    for result in campaigns.campaign(["a", "broken", "b"], 150, 7, 1.0, log, Console(quiet=True)):
        add_run(log, 7, result)
    assert asked == [("a", 0), ("broken", 0), ("b", 0), ("a", 40), ("b", 40)]
    assert read_log(log)["cases"] == 150
    assert list(campaigns.campaign(["a"], 150, 7, 1.0, log, Console(quiet=True))) == []


def test_what_was_found_is_tried_again_and_told_as_mended_or_not(tmp_path, monkeypatch):
    def mended(folder):
        return lambda rng: rng.randrange(10), lambda number: None

    def broken(folder):
        return lambda rng: rng.randrange(10), lambda number: 1 // 0

    targets = {"good": Target("good", (), mended), "bad": Target("bad", (), broken)}
    monkeypatch.setattr(campaigns, "TARGETS", targets)
    log = tmp_path / "log.json"
    for name in targets:
        add_run(log, 1, done(name, findings=[Finding(name, 2, "ZeroDivisionError", "x.py:1", "told")]))
    assert [finding.target for finding in campaigns.try_again(log)] == ["bad"]
    table = "\n".join(campaigns.table(read_log(log)))
    assert "| `good` | 10 | 4 | 1 | 1 |" in table
    assert "| `bad` | 10 | 4 | 1 | 0 |" in table
    assert "| `all` | 20 | 8 | 2 | 1 |" in table


def test_the_page_tells_what_the_log_holds_and_nothing_found_is_left_as_it_was():
    log = json.loads((ROOT / "fuzz" / "log.json").read_text("utf-8"))
    assert log["cases"] == sum(run["cases"] for run in log["runs"])
    page = (ROOT / "docs" / "fuzzing.md").read_text("utf-8")
    assert "\n".join(campaigns.table(log)) in page, "python -m fuzz --page docs/fuzzing.md --out fuzz/log.json"
    assert all(finding.get("mended") for run in log["runs"] for finding in run["findings"])
