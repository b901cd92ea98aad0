"""Published scores: each with a suite that exists, a source and a protocol, and shown beside a score."""

import io

from rich.console import Console

from qwen2vl_agent.bench.published import published, published_page, published_table
from qwen2vl_agent.envs.suites import suites


def test_every_published_score_names_a_suite_its_protocol_and_its_source():
    known = suites()
    for item in published():
        assert item.suite in known, item
        assert 0 <= item.score <= 100
        assert item.source.startswith(("arXiv:", "https://"))
        assert len(item.protocol) > 10
        assert item.sees


def test_they_stand_beside_a_score_and_say_where_they_were_not_checked():
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(published_table("miniwob-pix2act"))
    shown = console.export_text()
    page = "\n".join(published_page("miniwob-pix2act"))
    for item in published():
        if item.suite == "miniwob-pix2act":
            assert item.system in shown
            assert f"{item.score:.1f}" in page
            assert ("not compared" in page) or item.checked


def test_a_suite_without_published_scores_shows_none():
    assert published_table("phone") is None
    assert published_page("phone") == []
