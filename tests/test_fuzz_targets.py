"""A few hundred cases of every fuzz target; `python -m fuzz` runs as many as one likes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from fuzz.registry import TARGETS
from fuzz.target import Finding, Prepared

CASES = 200
FEWER = {"mcp.call": 25, "checkpoint.one_file": 60, "checkpoint.shards": 60, "video": 60, "http.application": 60,
         "checkpoint.tokenizer": 60, "adb.virtual_phone": 60}  # fmt: skip
"""Of targets whose cases take long."""


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_ends_in_a_valid_value_or_an_error_that_says_what_is_wrong(name, tmp_path):
    prepared = Prepared(TARGETS[name], tmp_path)
    outcomes = [prepared.try_case(0, case) for case in range(FEWER.get(name, CASES))]
    findings = [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    assert not findings, findings[0]


def test_a_target_whose_reader_breaks_is_found(tmp_path):
    from fuzz.target import Target

    def broken(folder):
        return lambda rng: rng.randrange(10), lambda number: 1 // (number % 3)

    outcomes = [Prepared(Target("broken", (), broken), tmp_path).try_case(0, case) for case in range(30)]
    findings = [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    assert findings
    assert {finding.kind for finding in findings} == {"ZeroDivisionError"}
    assert len(findings) < 30
