"""MiniWoB++ without a browser: lists of pages, protocols, suites, and which pages have solutions."""

import pytest

from qwen2vl_agent.envs.miniwob.oracles import ORACLES
from qwen2vl_agent.envs.miniwob.oracles.registry import solves
from qwen2vl_agent.envs.miniwob.pages import page_names, protocol, protocols
from qwen2vl_agent.envs.miniwob.tasks import page_of
from qwen2vl_agent.envs.suites import get_suite, suites
from qwen2vl_agent.schema.errors import ConfigError


def test_every_protocol_lists_known_pages_once_and_names_its_source():
    assert len(page_names()) == 125
    sizes = {name: len(item.pages) for name, item in protocols().items()}
    assert sizes["all"] == sizes["browsergym"] == 125
    assert sizes["webgum"] == 56
    assert sizes["small"] == 20
    assert sizes["seeclick"] == 35
    assert set(protocol("small").pages) <= set(ORACLES)
    assert sizes["pix2act"] + len(protocol("pix2act").absent) == 59
    for item in protocols().values():
        assert set(item.pages) <= set(page_names())
        assert len(set(item.pages)) == len(item.pages)
        assert len(item.source) > 10


def test_a_protocol_limits_the_steps_of_each_page():
    assert protocol("browsergym").steps("click-test") == 10
    assert protocol("all").steps("click-test") == 30
    assert protocol("all").steps("stock-market") == 100
    assert (protocol("seeclick").steps("use-slider"), protocol("seeclick").above) == (30, 0.8)
    with pytest.raises(ConfigError, match="no protocol 'webarena'"):
        protocol("webarena")


def test_the_suites_are_named_after_the_protocols():
    assert {"miniwob", "miniwob-browsergym", "miniwob-webgum", "miniwob-pix2act", "miniwob-seeclick"} <= set(suites())
    suite = get_suite("miniwob-browsergym")
    assert (suite.env, suite.env_kwargs) == ("miniwob", {"protocol": "browsergym"})
    assert get_suite("miniwob.click-test").tasks == ("miniwob.click-test",)
    assert all(len(suite.example(task)) > 5 for task in suite.tasks)


def test_pages_without_a_solution_are_the_ones_that_the_suite_names():
    suite = get_suite("miniwob")
    assert set(ORACLES) <= set(page_names())
    assert {page_of(task) for task in suite.without_oracle} == set(page_names()) - set(ORACLES)
    assert len(ORACLES) >= 90


def test_two_solutions_of_one_page_are_a_mistake():
    with pytest.raises(AssertionError):
        solves("click-test")(lambda view: view)


def test_a_misspelt_page_is_answered_with_those_that_are():
    assert page_of("miniwob.click-test") == page_of("click-test") == "click-test"
    with pytest.raises(ConfigError, match=r"did you mean miniwob\.click-link"):
        page_of("miniwob.clik-link")
