"""Skills are measured by asking: one who knows everything gets all of it, one who knows nothing gets nothing."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen2vl_agent.data.synthetic.screen_lines import about_place, looked_for, texts_of_names
from qwen2vl_agent.recipes import tiny_data, tiny_skills
from qwen2vl_agent.recipes.tiny import TinyRecipe
from qwen2vl_agent.recipes.tiny_skills import Score, edit_distance, measure, table, unseen_pages

PAGES, SEED = 6, 5


class AllKnowing:
    """Knows every line of the screens by heart, and takes what it does not know for absent."""

    def __init__(self, processor) -> None:
        self.processor = processor
        self.lines: dict[str, str] = {}
        for page, _ in zip(unseen_pages(SEED, processor.image_processor.max_pixels), range(PAGES), strict=False):
            lines = [line(entry) for entry in tiny_skills.askable(page) for line in (looked_for, about_place)]
            for line in (*lines, *texts_of_names(page)):
                self.lines.setdefault(page.image.tobytes().hex()[:64] + line.given, line.written)

    def generate(self, inputs, **_):
        text = self.processor.decode(inputs.input_ids.tolist())
        given = text.rpartition("assistant\n")[2]
        known = next((written for key, written in self.lines.items() if key.endswith(given)), '" is not here')
        return SimpleNamespace(token_ids=self.processor.tokenizer.encode(known + "\n"))


@pytest.fixture(scope="module")
def processor():
    return tiny_data.processor(TinyRecipe())


def test_one_who_knows_the_answers_scores_high_and_one_who_is_silent_nothing(processor):
    knowing = measure(AllKnowing(processor), processor, SEED, PAGES)
    assert knowing.letters.asked > 20
    assert knowing.found.asked >= PAGES
    assert knowing.letters.share > 0.6
    silent = SimpleNamespace(generate=lambda inputs, **_: SimpleNamespace(token_ids=[]))
    nothing = measure(silent, processor, SEED, PAGES)
    assert nothing.found.asked == knowing.found.asked
    assert nothing.found.right == nothing.letters.right == nothing.missed.right == 0
    shown = table({"seen": knowing.to_json(), "blind": nothing.to_json()})
    assert shown.row_count == len(knowing.to_json())


def test_a_score_of_nothing_is_none():
    assert Score().share == 0.0


@pytest.mark.parametrize(
    ("one", "other", "edits"), [("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("flaw", "lawn", 2)]
)
def test_edits_are_counted_as_levenshtein_does(one, other, edits):
    assert edit_distance(one, other) == edit_distance(other, one) == edits


@given(st.text(max_size=12), st.text(max_size=12))
def test_there_are_never_more_edits_than_letters(one, other):
    assert abs(len(one) - len(other)) <= edit_distance(one, other) <= max(len(one), len(other))
    assert (edit_distance(one, other) == 0) == (one == other)
