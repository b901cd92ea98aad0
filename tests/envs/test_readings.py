"""Screens from which the solutions read: there is something to read on each, and training meets no held-out word."""

from itertools import islice

import pytest

from qwen2vl_agent.data.synthetic.screen_lines import texts_of_names
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.envs.tasks.readings import read_pages, reading_tasks
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import CHOICES
from qwen2vl_agent.envs.virtual_phone.words import is_held_out
from qwen2vl_agent.recipes.harvest import record_page

MAX_PIXELS = 112_896
OF_THE_SYSTEM = {"Back", "Home", "Recent apps", *(option for choice in CHOICES for option in choice.options)}
"""Fixed labels of every phone, of which the pools happen to hold some back."""


def test_there_is_something_to_read_under_something_on_each():
    pages = list(islice(read_pages(2, (270, 600)), 30))
    told = [len(texts_of_names(record_page(page, MAX_PIXELS))) for page in pages]
    assert sum(count > 0 for count in told) >= 28
    assert len({page.page for page in pages}) >= 5


def test_they_are_the_same_for_the_same_seed():
    one, other = ([page.elements for page in islice(read_pages(6, (270, 600)), 5)] for _ in range(2))
    assert one == other


def test_phones_to_learn_on_show_no_held_out_word():
    for page in islice(read_pages(3, (270, 600)), 40):
        assert not {e.text for e in page.elements if is_held_out(e.text)} - OF_THE_SYSTEM


@pytest.mark.parametrize(("suite", "edition"), [("phone", "first"), ("phone-full", "full"), ("phone-zh", "full-zh")])
def test_all_templates_exist(suite, edition):
    assert set(reading_tasks(edition)) <= set(task_ids(suite))


def test_a_phone_that_speaks_chinese_is_read_in_chinese():
    pages = islice(read_pages(4, (270, 600), edition="full-zh"), 10)
    assert all(any("返回" in element.text for element in page.elements) for page in pages)
