"""What `benchmarks/inference.py` measured is kept from one run to the next."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def kept_class(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from inference_kept import Kept

    yield Kept
    sys.modules.pop("inference_kept")


def test_a_key_is_measured_once_and_each_stands_in_the_file_at_once(kept_class: Any, tmp_path: Path) -> None:
    file = tmp_path / "runs" / "kept.json"
    first = kept_class(file)
    assert first.seconds("vit_738", lambda: (2.0, 3.0)) == (2.0, 3.0)
    assert first.steps("int4", lambda: [1.0, 0.5]) == [1.0, 0.5]
    with pytest.raises(KeyboardInterrupt):
        first.seconds("prefill_1k", interrupted)
    later = kept_class(file)
    assert later.seconds("vit_738", interrupted) == (2.0, 3.0)
    assert later.steps("int4", interrupted) == [1.0, 0.5]
    assert later.seconds("prefill_1k", lambda: (1.0, 1.0)) == (1.0, 1.0)
    assert set(json.loads(file.read_text())["keys"]) == {"vit_738", "prefill_1k"}


def test_the_answer_has_ratios_in_the_order_of_the_keys(kept_class: Any) -> None:
    kept = kept_class(None)
    for key, peer in (("b", 3.0), ("a", 1.0)):
        kept.seconds(key, lambda peer=peer: (2.0, peer))
    answer = kept.to_json(("a", "b", "c"))
    assert list(answer["vs_transformers"].items()) == [("a", 0.5), ("b", 1.5)]
    assert len(answer["seconds"]["a"]["load"]) == 2
    assert kept.table(("a", "b", "c")).row_count == 2


def test_llama_cpp_stands_beside_what_it_was_asked(kept_class: Any, tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    kept = kept_class(file)
    for key in ("vit_738", "rows_8_bf16"):
        kept.seconds(key, lambda: (2.0, 3.0))
    assert kept.of_llama("vit_738", lambda: 5.0) == 5.0
    later = kept_class(file)
    assert later.of_llama("vit_738", interrupted) == 5.0
    assert later.to_json(("vit_738", "rows_8_bf16"))["vs_llama"] == {"vit_738": 2.5}


def interrupted() -> Any:
    raise KeyboardInterrupt
