"""The launch scripts: valid for the shell, for shellcheck where it is there, and with flags that `train` knows."""

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = sorted([*FOLDER.glob("*.sh"), *FOLDER.glob("*.sbatch")])
SPY = """#!/usr/bin/env python3
import json, os, sys
json.dump(sys.argv[1:], open(os.environ["SPIED"], "w"))
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_and_says_that_it_was_not_run(script):
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert "NOT RUN where this was written" in script.read_text("utf-8")
    if shutil.which("shellcheck"):
        assert subprocess.run(["shellcheck", script]).returncode == 0


def spied(script: Path, tmp_path: Path, programs: tuple[str, ...], **variables: str) -> list[str]:
    """What a script calls `torchrun` or `qwen2vl-agent` with, where the cluster's programs are stand-ins."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in programs:
        (folder / name).write_text(SPY)
    (folder / "srun").write_text('#!/usr/bin/env bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    (folder / "scontrol").write_text("#!/usr/bin/env bash\necho node1\necho node2\n")
    for file in folder.iterdir():
        file.chmod(0o755)
    given = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SPIED": str(tmp_path / "spied"),
        "SLURM_NNODES": "4",
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-4]",
        "HOME": str(tmp_path),
        **variables,
    }
    subprocess.run(["bash", script], env=given, check=True, timeout=30)
    return json.loads((tmp_path / "spied").read_text())


@pytest.mark.parametrize("resumed", [False, True], ids=["new", "resumed"])
@pytest.mark.parametrize(("name", "processes", "nodes"), [("one_node.sh", 8, 1), ("slurm.sbatch", 32, 4)])
def test_processes_fit_the_layout_and_every_flag_is_known(tmp_path, name, processes, nodes, resumed):
    out = tmp_path / "out"
    if resumed:
        (out / "checkpoints").mkdir(parents=True)
    variables = {"MODEL": "model", "DATA": "talks", "OUT": str(out)}
    words = spied(FOLDER / name, tmp_path, ("torchrun",), **variables)
    value = dict(itertools.pairwise(words))
    assert int(value["--nproc-per-node"]) * nodes == processes
    assert int(value["--dp"]) * int(value["--pp"]) * int(value["--tp"]) == processes
    assert ("--resume" in words) == resumed
    command = words[words.index("qwen2vl_agent") + 1 :]
    from qwen2vl_agent.cli import read_command

    read = read_command(command)
    assert (read.recipe, read.model, read.data, read.out) == ("stage2", "model", ("talks",), out)


def test_a_served_model_has_a_token_in_a_file_that_nobody_else_reads(tmp_path):
    words = spied(FOLDER / "serve.sbatch", tmp_path, ("qwen2vl-agent",), MODEL="model")
    from qwen2vl_agent.cli import read_command
    from qwen2vl_agent.serve.guard import read_token

    read = read_command(words)
    assert (read.host, read.model) == ("0.0.0.0", "model")
    assert len(read_token(read.token_file)) == 32


def test_the_image_copies_files_that_exist_and_installs_extras_that_exist():
    root = FOLDER.parents[1]
    text = (FOLDER / "Containerfile").read_text("utf-8")
    assert "NOT BUILT where this was written" in text
    copied = [name for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE) for name in line.split()[:-1]]
    assert copied
    assert [name for name in copied if not (root / name).exists()] == []
    extras = re.search(r"'\.\[(.*)\]'", text)[1].split(",")
    project = (root / "pyproject.toml").read_text("utf-8")
    assert [name for name in extras if not re.search(rf"^{name} = \[", project, re.MULTILINE)] == []
