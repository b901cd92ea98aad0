"""Rows by a plan: whole rows, the same in any layout, at the very step where a run stopped."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_up_store import store

from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.plan import DataPlan
from qwen2vl_agent.data.text_store import StoredSource
from qwen2vl_agent.dialogue.encode import Encoded
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.planned_rows import PlannedRows

ROWS, TOKENS = 4, 64


class Again:
    """Stored ids are the document."""

    fingerprint = ""

    def encode_again(self, ids, labels, parts):
        ids = torch.tensor(ids)
        return Encoded(ModelInputs(ids, torch.arange(len(ids)).expand(3, -1)), labels)


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> DataPlan:
    folder, rng = tmp_path_factory.mktemp("words"), np.random.default_rng(0)
    lengths = rng.integers(4, 20, 4_000).tolist()
    made = store(folder / "words", "words", lengths, [None] * len(lengths))
    return DataPlan(Mixture([(StoredSource(made), 1)]), rows=ROWS, batch_tokens=TOKENS)


def rows_of(plan: DataPlan, dp: int = 1, replica: int = 0, reads: bool = True, workers: int = 0) -> PlannedRows:
    grid = SimpleNamespace(layout=Layout(dp=dp), replica=replica, reads=reads)
    return PlannedRows(plan, Again(), grid, workers=workers)


def drawn(rows: PlannedRows) -> list[tuple[str, int]]:
    return [example for batch in rows.next_rows() or () for example in batch.examples]


def test_a_step_is_whole_rows_that_fit(plan):
    batches = rows_of(plan).next_rows()
    assert len(batches) == ROWS
    assert max(batch.num_tokens for batch in batches) <= TOKENS
    assert sum(batch.num_tokens for batch in batches) >= 0.9 * ROWS * TOKENS


def test_replicas_draw_together_what_one_draws_alone(plan):
    together = [example for replica in range(2) for example in drawn(rows_of(plan, dp=2, replica=replica))]
    assert sorted(together) == sorted(drawn(rows_of(plan)))


def test_a_run_goes_on_at_its_step_in_another_layout(plan):
    before = rows_of(plan)
    first, second, third = (drawn(before) for _ in range(3))
    assert before.positions() == [3]
    resumed = [rows_of(plan, dp=2, replica=replica) for replica in range(2)]
    for rows in resumed:
        rows.seek([2])
    assert sorted(example for rows in resumed for example in drawn(rows)) == sorted(third)
    assert sorted(first) != sorted(second)


def test_a_process_that_does_not_read_counts_steps_all_the_same(plan):
    waiting = rows_of(plan, reads=False)
    assert waiting.next_rows() is None
    assert waiting.positions() == [1]
    assert waiting.describe() == rows_of(plan).describe()


@pytest.mark.slow
def test_workers_encode_the_same_rows(plan):
    alone, helped = rows_of(plan), rows_of(plan, workers=2)
    try:
        assert [drawn(helped) for _ in range(2)] == [drawn(alone) for _ in range(2)]
    finally:
        helped.close()


def test_rows_must_divide_among_replicas(plan):
    with pytest.raises(ConfigError, match="--dp 3 must divide"):
        rows_of(plan, dp=3)
