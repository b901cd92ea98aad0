"""Nothing that comes from outside is ever run: no pickle, no `eval`, no code of a checkpoint, no shell."""

import ast
from pathlib import Path

import pytest
import torch

from qwen2vl_agent.schema.errors import CheckpointError
from qwen2vl_agent.training.checkpoint import STATE_FILE, load_state

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "qwen2vl_agent").rglob("*.py"))
NEVER = {"eval", "exec", "compile", "__import__"}
NEVER_OF = {
    ("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("marshal", "loads"), ("shelve", "open"),
    ("joblib", "load"), ("dill", "loads"), ("yaml", "load"), ("yaml", "unsafe_load"), ("os", "system"), ("os", "popen"),
}  # fmt: skip


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]


def forbidden(call: ast.Call) -> str:
    """Why a call may not stand in the code; empty where it may."""
    given = {item.arg: item.value for item in call.keywords}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    of = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    if (isinstance(call.func, ast.Name) and name in NEVER) or (of, name) in NEVER_OF:
        return f"{of}.{name}".strip(".")
    if (of, name) == ("torch", "load") and not _is(given.get("weights_only"), True):
        return "torch.load without weights_only=True"
    if name in ("load", "memmap") and of in ("np", "numpy") and _is(given.get("allow_pickle"), True):
        return "numpy with allow_pickle"
    return next((f"{word}=True" for word in ("shell", "trust_remote_code") if _is(given.get(word), True)), "")


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_call_could_run_what_comes_from_outside():
    found = [(path, call.lineno, why) for path in SOURCES for call in calls(path) if (why := forbidden(call))]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ["eval(x)", "torch.load(x)", "torch.load(x, weights_only=False)", "pickle.loads(x)", "run(x, shell=True)",
     "AutoModel.from_pretrained(x, trust_remote_code=True)", "np.load(x, allow_pickle=True)"],
)  # fmt: skip
def test_such_calls_would_be_found(code):
    assert forbidden(ast.parse(code, mode="eval").body)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_trainers_state_that_would_run_code_is_refused(tmp_path):
    torch.save({"step": 1, "bomb": Bomb(tmp_path / "ran")}, tmp_path / STATE_FILE)
    with pytest.raises(CheckpointError):
        load_state(tmp_path)
    assert not (tmp_path / "ran").exists()
