"""The small model that learns a suite from its solutions: what it learns from, and a run from nothing to a game."""

import dataclasses
import json

import pytest
import torch

from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.data.examples import episode_example, recorded_turns
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.envs.suites import get_suite
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import registry
from qwen2vl_agent.recipes.small_training import make_model
from qwen2vl_agent.recipes.staged import EMBEDDED
from qwen2vl_agent.recipes.suite import DRAWN, SuiteRecipe, demonstrate, make_processor, shown, train
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.trajectory.store import episodes, read_header

SMALL = {"episodes": "3", "workers": "1", "steps": "2", "batch_tokens": "64", "width": "64", "vision_layers": "1"}


def test_solutions_are_recorded_once_with_seeds_that_nothing_is_measured_with(tmp_path):
    recipe = SuiteRecipe(suite="cards", episodes=2, workers=1)
    demonstrate(recipe, tmp_path)
    first = {folder: (folder / "episode.json").stat().st_mtime_ns for folder in episodes(tmp_path)}
    assert {read_header(folder).seed for folder in first} == {DRAWN, DRAWN + 1}
    assert len(first) == 2 * len(get_suite("cards").tasks)
    demonstrate(recipe, tmp_path)
    assert {folder: (folder / "episode.json").stat().st_mtime_ns for folder in episodes(tmp_path)} == first


def test_every_task_of_a_suite_shows_as_many_screens_as_any_other(tmp_path):
    recipe = SuiteRecipe(suite="cards", episodes=2, workers=1)
    demonstrate(recipe, tmp_path)
    mixture = shown(recipe, tmp_path)
    screens = {}
    for source, weight in mixture.sources:
        turns = [len(recorded_turns(folder)[1]) for folder in source.folders]
        screens[source.name] = weight * sum(turns) / len(turns)
    assert set(screens) == set(get_suite("cards").tasks)
    assert max(screens.values()) == pytest.approx(min(screens.values()))
    alone = shown(SuiteRecipe(begun=0.25), _only(tmp_path, "cards.ezpoint"))
    assert alone.describe()["weights"] == {"episodes": 0.75, "begun": 0.25}


def _only(folder, task):
    """A folder with one task's episodes."""
    (folder / "only").mkdir()
    for episode in list(folder.glob(f"{task}-*")):
        episode.rename(folder / "only" / episode.name)
    return folder / "only"


def test_a_picture_has_the_recipes_size_and_the_words_are_the_tasks_alone(tmp_path):
    recipe = SuiteRecipe(episodes=1, workers=1, max_pixels=12_600)
    demonstrate(recipe, tmp_path)
    processor = make_processor(recipe)
    (folder,) = episodes(tmp_path)
    encoded = episode_example(folder).encode(processor)
    assert {tuple(grid) for grid in encoded.inputs.image_grid_thw.tolist()} == {(1, 8, 8)}
    assert len(encoded.inputs.input_ids) < 400


def test_a_run_from_nothing_gives_a_model_that_plays(tmp_path):
    assert registry.get("suite") is train
    folder = train(out=tmp_path / "run", overrides=SMALL)
    assert Processor.from_pretrained(folder).agent_settings["detail"] == "bare"
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert "bfloat16" in (config.get("dtype"), config.get("torch_dtype"))
    suite = get_suite("cards.number_line")
    job = Job(
        task=suite.tasks[0], seed=1, policy="model", model=str(folder), env=suite.env, env_kwargs=suite.env_kwargs
    )
    (result,) = collect_episodes([job], tmp_path / "played", 1).results
    assert result.outcome in ("success", "failure")
    assert result.steps


def test_beginnings_alone_can_be_learned_from(tmp_path):
    train(out=tmp_path, overrides={**SMALL, "begun": "1"})
    (line, *_) = (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()
    assert set(json.loads(line)["losses"]) == {"begun"}
    with pytest.raises(ConfigError, match=r"begun is 1\.5"):
        SuiteRecipe(begun=1.5)


def test_a_model_is_saved_with_how_soon_its_agent_tries_another_call():
    assert make_processor(SuiteRecipe()).agent_settings["other_after"] == 0
    assert make_processor(SuiteRecipe(other_after=2)).agent_settings["other_after"] == 2


def test_maps_in_words_get_their_share_beside_the_episodes(tmp_path):
    recipe = SuiteRecipe(episodes=1, workers=1, begun=0.5, ways=0.4)
    demonstrate(recipe, tmp_path)
    weights = shown(recipe, tmp_path).describe()["weights"]
    assert weights == pytest.approx({"episodes": 0.3, "begun": 0.3, "ways": 0.4})
    with pytest.raises(ConfigError, match=r"ways is 2\.0"):
        SuiteRecipe(ways=2.0)


def test_a_suite_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"no suite 'bridge'"):
        train(out=tmp_path, overrides={"suite": "bridge"})


def test_a_heads_pairs_are_shared_out_as_asked():
    recipe = SuiteRecipe(rope_theta=100.0, mrope_section="2,8,22")
    text = make_model(recipe, make_processor(recipe)).config.text
    assert (text.rope_theta, text.mrope_section) == (100.0, (2, 8, 22))
    for wrong in ("2,8,21", "16,16", "a,b,c", ""):
        with pytest.raises(ConfigError, match="mrope_section"):
            SuiteRecipe(mrope_section=wrong)


def test_a_language_model_that_has_learned_to_copy_can_be_begun_with():
    recipe = SuiteRecipe(language="embedded", vision_layers=1)
    processor = make_processor(recipe)
    model, embedded = make_model(recipe, processor), Qwen2VL.from_pretrained(EMBEDDED, "float32")
    assert model.config.text == embedded.config.text
    for name, value in embedded.language_model.state_dict().items():
        assert torch.equal(model.language_model.state_dict()[name], value), name
    assert model.lm_head.weight is model.language_model.embed_tokens.weight
    assert len(model.visual.blocks) == 1


def test_a_vision_encoder_can_be_begun_with_where_it_fits(tmp_path):
    processor = make_processor(SuiteRecipe())
    seeing = make_model(SuiteRecipe(width=256, vision_layers=1, seed=7), processor)
    seeing.save_pretrained(tmp_path)
    model = make_model(SuiteRecipe(language="embedded", vision=str(tmp_path)), processor)
    for name, value in seeing.visual.state_dict().items():
        assert torch.equal(model.visual.state_dict()[name], value), name
    with pytest.raises(ConfigError, match=r"writes 256 numbers a token; expected 64"):
        make_model(SuiteRecipe(width=64, vision=str(tmp_path)), processor)


def test_a_language_model_of_another_vocabulary_does_not_fit(tmp_path):
    recipe = SuiteRecipe(width=64, layers=1, vision_layers=1)
    processor = make_processor(recipe)
    other = make_model(recipe, processor)
    text = dataclasses.replace(other.config.text, vocab_size=400)
    Qwen2VL(dataclasses.replace(other.config, text=text)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="another vocabulary"):
        make_model(SuiteRecipe(language=str(tmp_path)), processor)
