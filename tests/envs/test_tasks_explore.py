"""Wandering over phones shows all that there is to see, and the same for the same seed."""

from itertools import islice, pairwise

from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone.app_list import APPS
from qwen2vl_agent.envs.virtual_phone.words import Words, is_held_out

SIZE = (216, 480)
"""Small, for speed: what is drawn does not depend on it."""


def test_the_same_seed_shows_the_same_screens():
    first, second = (list(islice(random_pages(5, SIZE), 12)) for _ in range(2))
    assert [page.elements for page in first] == [page.elements for page in second]
    assert [page.image.tobytes() for page in first] == [page.image.tobytes() for page in second]
    assert list(islice(random_pages(6, SIZE), 12))[3].elements != first[3].elements


def test_a_walk_meets_every_app_page_dialog_and_the_keyboard():
    pages = list(islice(random_pages(1, SIZE), 700))
    assert {app.package for app in APPS} <= {page.package for page in pages}
    names = {page.page for page in pages}
    assert names >= {
        "shade", "launcher/home", "launcher/drawer", "recents/recents", "settings/main", "settings/group",
        "settings/choice", "settings/search", "clock/alarms", "clock/edit", "clock/timer", "clock/stopwatch",
        "contacts/main", "contacts/person", "contacts/edit", "messages/main", "messages/thread", "messages/new",
        "notes/main", "notes/note", "notes/edit", "notes/note/delete", "calculator/main",
    }  # fmt: skip
    assert any(element.role == "key" for page in pages for element in page.elements)
    dark = [page for page in pages if sum(page.image.resize((1, 1)).getpixel((0, 0))) < 250]
    assert 0.1 < len(dark) / len(pages) < 0.9


def test_every_screen_has_its_size_and_elements_that_lie_on_it():
    for page in islice(random_pages(2, SIZE, Words.test()), 60):
        assert page.image.size == SIZE
        assert page.elements
        for element in page.elements:
            left, top, right, bottom = element.bounds
            assert 0 <= left < right <= SIZE[0]
            assert 0 <= top < bottom <= SIZE[1]


def test_no_two_screens_in_a_row_look_alike():
    pages = list(islice(random_pages(3, SIZE), 60))
    assert all(one.elements != other.elements for one, other in pairwise(pages))


def test_a_walk_with_training_words_shows_no_held_out_name():
    for page in islice(random_pages(4, SIZE, Words.train()), 150):
        names = [item.text for item in page.elements if item.resource_id.startswith(("contacts:row", "notes:row"))]
        assert not [name for name in names if is_held_out(name)]
