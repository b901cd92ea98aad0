"""The pools of words: large enough, and split so that nothing leaks."""

import random

from qwen2vl_agent.envs.virtual_phone import word_pools
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words, is_held_out


def test_the_pools_are_large_and_hold_no_word_twice():
    assert len(word_pools.FIRST_NAMES) >= 200
    assert len(word_pools.LAST_NAMES) >= 200
    for name, pool in vars(word_pools).items():
        if isinstance(pool, tuple):
            assert len(pool) == len(set(pool)), name


def test_training_never_sees_a_held_out_word_and_tests_see_about_four_in_ten():
    for name in Words.__dataclass_fields__:
        train, test = getattr(Words.train(), name), getattr(Words.test(), name)
        assert not any(is_held_out(word) for word in train), name
        assert 0.33 <= sum(is_held_out(word) for word in test) / len(test) <= 0.47, name
        assert set(test) - set(train) == {word for word in test if is_held_out(word)}, name


def test_names_and_titles_on_training_phones_are_known_words():
    for seed in range(30):
        state = random_state(seed, Words.train())
        assert not any(is_held_out(person.name) for person in state.contacts)
        assert not any(is_held_out(note.title) for note in state.notes)
        assert not any(is_held_out(alarm.label) for alarm in state.alarms)


def test_a_full_name_is_held_out_when_a_part_is():
    words = Words.test()
    first = next(name for name in words.first_names if is_held_out(name))
    known = next(name for name in words.last_names if not is_held_out(name))
    assert is_held_out(f"{first} {known}")
    assert not is_held_out("just a sentence")


def test_full_names_on_a_phone_have_different_first_names():
    names = Words.test().full_names(random.Random(1), 20)
    assert len({name.split()[0] for name in names}) == 20


def test_invented_words_are_new_on_every_phone_and_shaped_like_those_of_training():
    one, same, other = Words.invented(1), Words.invented(1), Words.invented(2)
    assert one == same
    for name in Words.__dataclass_fields__:
        new, known = getattr(one, name), getattr(Words.train(), name)
        assert 0.9 * len(known) <= len(new) <= len(known)
        assert len(set(new) & set(known)) <= 0.1 * len(known) + 1, name
        assert len(set(new) & set(getattr(other, name))) <= 0.1 * len(known) + 1, name
        assert not any(is_held_out(word) for word in new), name
    assert {file.partition(".")[2] for file in one.files} <= {file.partition(".")[2] for file in Words.train().files}
    assert all(first[0].isupper() for first in one.first_names)


def test_phones_are_filled_with_invented_words():
    for seed in range(10):
        words = Words.of("invented", seed)
        names = {person.name.split()[0] for person in random_state(seed, words).contacts}
        assert names <= set(words.first_names)
