"""The plan is a pure function of seed and step: full rows, exact shares, even work, every document once an epoch."""

import pickle
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from made_up_store import store

from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.plan import DataPlan, Documents, PlanShare, TokenLine, spread
from qwen2vl_agent.data.text_store import StoredSource
from qwen2vl_agent.schema.errors import ConfigError

ROW = 4096
SHARES = {"text": 0.4, "pictures": 0.45, "videos": 0.15}


@pytest.fixture(scope="module")
def long_tailed(tmp_path_factory) -> Mixture:
    """Text alone, pictures and videos, of lengths that spread over two powers of ten."""
    folder, rng = tmp_path_factory.mktemp("stores"), np.random.default_rng(0)
    text = np.clip(rng.lognormal(5, 1.2, 12_000), 10, ROW).astype(int)
    sides = 2 * np.clip(rng.lognormal(2.2, 0.5, (9_000, 2)), 2, 26).astype(int)
    pictures = sides.prod(1) // 4 + rng.integers(10, 200, len(sides))
    times = rng.integers(2, 12, 1_500)
    videos = times * 8 * 8 + rng.integers(20, 120, len(times))
    stores = {
        "text": store(folder / "text", "text", text.tolist(), [None] * len(text)),
        "pictures": store(folder / "pictures", "pictures", pictures.tolist(), [(1, int(h), int(w)) for h, w in sides]),
        "videos": store(folder / "videos", "videos", videos.tolist(), [(int(t), 16, 16) for t in times]),
    }
    return Mixture([(StoredSource(stores[name]), share) for name, share in SHARES.items()], seed=3)


@pytest.fixture(scope="module")
def plan(long_tailed) -> DataPlan:
    return DataPlan(long_tailed, rows=64, batch_tokens=ROW)


def named(rows: list[Documents]) -> list[tuple[int, int]]:
    return sorted(pair for row in rows for pair in zip(row.source.tolist(), row.number.tolist(), strict=True))


def test_shares_of_tokens_are_met_and_rows_are_full(plan):
    tokens, rows = Counter(), [row for step in range(8) for part in plan.step(step, 16) for row in part]
    for row in rows:
        for source, length in zip(row.source.tolist(), row.tokens.tolist(), strict=True):
            tokens[source] += length
    whole = sum(tokens.values())
    for source, share in enumerate(SHARES.values()):
        assert abs(tokens[source] / whole - share) <= 0.005
    assert len(rows) == 8 * plan.rows
    assert whole / (len(rows) * ROW) >= 0.99
    assert max(row.tokens.sum() for row in rows) <= ROW


def test_the_vision_encoders_of_sixteen_replicas_have_the_same_to_do(plan):
    for step in range(8):
        loads = [sum(row.patches.sum() for row in part) for part in plan.step(step, 16)]
        assert max(loads) / np.mean(loads) <= 1.05


def test_a_step_is_the_same_whatever_was_asked_for_before(plan, long_tailed):
    again = DataPlan(long_tailed, rows=64, batch_tokens=ROW)
    assert [named(again.step(number)[0]) for number in (9, 2)] == [named(plan.step(number)[0]) for number in (9, 2)]
    other = DataPlan(Mixture(long_tailed.sources, seed=4), rows=64, batch_tokens=ROW)
    assert named(other.step(2)[0]) != named(plan.step(2)[0])


def test_an_epoch_holds_every_document_once(plan):
    line = plan._lines[2]
    edges = [0, 1_000, 77_777, line.total]
    parts = [line.between(*edge) for edge in pairwise(edges)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(line.tokens)))
    across = line.between(line.total - 2_000, line.total + 2_000)
    begun = [line.between(line.total - 2_000, line.total), line.between(line.total, line.total + 2_000)]
    assert across.tolist() == np.concatenate(begun).tolist()
    assert TokenLine(np.array([3, 2]), 0).between(5, 5).tolist() == []


def test_replicas_share_out_the_documents_of_the_step_in_any_layout(plan):
    wanted = named(plan.step(1)[0])
    for replicas in (1, 2, 4):
        each = plan.rows // replicas
        shares = [PlanShare(plan, replica, replicas) for replica in range(replicas)]
        drawn = [share.drawn(position) for share in shares for position in range(each, 2 * each)]
        assert sorted((plan.sources.index(source), number) for row in drawn for source, number in row) == wanted


def test_a_worker_s_copy_draws_the_same(plan):
    share = PlanShare(plan, 1, 2)
    copy = pickle.loads(pickle.dumps(share))
    assert [(source.name, n) for source, n in copy.drawn(40)] == [(source.name, n) for source, n in share.drawn(40)]


def test_documents_that_leave_no_room_are_planned_less_full(tmp_path):
    made = store(tmp_path / "even", "even", [600] * 3_000, [None] * 3_000)
    plan = DataPlan(Mixture([(StoredSource(made), 1)]), rows=8, batch_tokens=1000)
    assert plan.fill == 0.6
    assert {int(row.tokens.sum()) for row in plan.step(5)[0]} <= {600, 1200}


def test_too_few_documents_for_the_rows_are_told(tmp_path):
    made = store(tmp_path / "few", "few", [5_000] * 40, [None] * 40)
    with pytest.raises(ConfigError, match="lower batch_tokens"):
        DataPlan(Mixture([(StoredSource(made), 1)]), rows=8, batch_tokens=1000)


def test_a_row_overflows_only_when_none_has_room():
    rows = spread(np.array([6, 6, 6, 3, 1]), np.array([0, 0, 0, 8, 0]), rows=2, capacity=10)
    assert sorted(place for row in rows for place in row) == [0, 1, 2, 3, 4]
    assert [3 in row for row in rows].count(True) == 1
