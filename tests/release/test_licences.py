"""The page of licences, and what is shipped without being ours."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def licences():
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("licences", ROOT / ".ci" / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_lists_the_direct_dependencies_of_pyproject(licences):
    said = {name: groups for name, (groups, _) in licences.listed().items()}
    assert said == {name: ", ".join(groups) for name, groups in licences.direct_dependencies().items()}


def test_every_licence_is_known(licences):
    unknown = [
        name for name, (_, licence) in licences.listed().items() if licence in ("", "not stated", licences.UNKNOWN)
    ]
    assert unknown == []


def test_no_package_that_everyone_installs_is_under_the_gpl(licences):
    strong = [name for name, (groups, licence) in licences.listed().items() if "GPL" in licence and "core" in groups]
    assert strong == []


def test_the_notice_names_everything_that_is_shipped_and_not_code():
    notice = (ROOT / "NOTICE").read_text("utf-8")
    tracked = subprocess.run(["git", "ls-files", "qwen2vl_agent"], cwd=ROOT, capture_output=True, text=True).stdout
    fonts = {Path(name).name for name in tracked.splitlines() if name.endswith((".ttf", ".otf", ".woff2"))}
    weights = {
        str(Path(name).parent) for name in tracked.splitlines() if name.endswith((".safetensors", ".bin", ".pt"))
    }
    if not tracked:
        pytest.skip("not a checkout of git")
    assert fonts
    assert weights
    assert [name for name in fonts | weights if name not in notice] == []
