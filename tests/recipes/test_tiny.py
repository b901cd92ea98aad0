"""The embedded model's recipe: its fields, its phases, and that every phase has something to learn from."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from qwen2vl_agent.data.mixture import BLOCK, Mixture
from qwen2vl_agent.data.synthetic.drills import lines_page
from qwen2vl_agent.data.synthetic.page_store import SHARD, write_pages
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.envs.suite import Suite
from qwen2vl_agent.envs.tasks import task_ids
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.recipes import registry, tiny, tiny_data, tiny_model
from qwen2vl_agent.recipes.harvest import record_page
from qwen2vl_agent.recipes.tiny import PHASES, TinyRecipe, phase_config, with_overrides
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.stages import trainable_names
from qwen2vl_agent.training.token_heads import TokenReader
from qwen2vl_agent.trajectory.store import episodes, read_header

RECIPE = TinyRecipe(max_pixels=28 * 28 * 40, episodes_per_task=1, harvest_workers=1)
TWO = Suite("phone", ("settings.toggle", "launcher.open_app"), str)
ASKING = [phase.name for phase in PHASES if phase.stage != "stage1"]
"""Phases that learn from conversations."""


@pytest.fixture(scope="module")
def processor() -> Processor:
    return tiny_data.processor(RECIPE)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of screens and two demonstrations."""
    folder = tmp_path_factory.mktemp("data")
    screens = random_pages(0, (270, 600), Words.train())
    write_pages(folder / "pages", 0, (record_page(screen, RECIPE.max_pixels) for screen in screens))
    (folder / "readings").symlink_to("pages")
    lines = (lines_page(random.Random(number), 2, 2) for number in range(SHARD))
    write_pages(folder / "lines", 0, lines)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiny_data, "get_suite", lambda _: TWO)
        tiny_data.demonstrate(RECIPE, folder / "episodes")
    (folder / "corrections").symlink_to("episodes")
    return folder


def test_overrides_get_the_type_of_their_field():
    recipe = with_overrides(TinyRecipe(), {"seed": "3", "look_lr": "1e-4", "noise": "0"})
    assert (recipe.seed, recipe.look_lr, recipe.noise) == (3, 1e-4, 0.0)
    assert isinstance(recipe.noise, float)
    assert with_overrides(TinyRecipe(), {}) == TinyRecipe()


def test_an_unknown_field_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ConfigError, match=r"no field 'stage1_steps'.*look_steps"):
        with_overrides(TinyRecipe(), {"stage1_steps": "3"})


@pytest.mark.parametrize(("field", "text"), [("seed", "1.5"), ("look_steps", "many"), ("look_lr", ""), ("noise", "½")])
def test_a_value_of_another_type_is_refused(field, text):
    with pytest.raises(ConfigError, match=f"{field}={text}: expected"):
        with_overrides(TinyRecipe(), {field: text})


def test_both_editions_of_the_phone_are_learned_from(tmp_path, monkeypatch):
    recipe = with_overrides(TinyRecipe(), {"suite": "phone,phone-full", "episodes_per_task": "1"})
    asked = {}
    monkeypatch.setattr(tiny_data, "harvest_pages", lambda folder, **words: asked.update({folder.name: words}))
    monkeypatch.setattr(tiny_data, "_record", lambda kind, jobs, *_: asked.update({kind: jobs}))
    tiny_data.prepare(replace(recipe, line_pages=0), tmp_path)
    tiny_data.demonstrate(recipe, tmp_path)
    assert asked["pages"]["editions"] == asked["readings"]["editions"] == ("first", "full")
    tasks = {job.task: job.env_kwargs.get("edition", "first") for job in asked["demonstrations"]}
    assert set(tasks) == {*task_ids("phone"), *task_ids("phone-full")}
    assert {edition for task, edition in tasks.items() if task.startswith("full.")} == {"full"}
    with pytest.raises(ConfigError, match="phone-fill"):
        with_overrides(TinyRecipe(), {"suite": "phone,phone-fill"})


def test_nothing_is_begun_with_a_wrong_override(tmp_path):
    with pytest.raises(ConfigError):
        tiny.train(out=tmp_path / "out", overrides={"steps": "3"})
    assert not (tmp_path / "out").exists()


def test_a_recipe_is_found_by_its_name():
    assert registry.get("tiny") is tiny.train
    with pytest.raises(ConfigError, match=r"no recipe 'large'.*tiny"):
        registry.get("large")


def test_phases_follow_the_three_stages_and_each_has_its_steps_and_rate():
    assert [phase.stage for phase in PHASES if phase.name != "text"] == ["stage1", "stage2", "stage3", "stage3"]
    for phase in PHASES:
        config = phase_config(RECIPE, phase)
        assert config.steps == getattr(RECIPE, f"{phase.name}_steps") > 0
        assert config.lr == getattr(RECIPE, f"{phase.name}_lr") > 0


def test_each_stage_trains_its_own_parts(processor):
    reader = TokenReader(tiny_model.create(RECIPE, processor), icons=3)
    looking = trainable_names(reader, phase_config(RECIPE, PHASES[1]))
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in looking if name.startswith("model.")} == {
        "model.visual"
    }
    parts = [
        {n.split(".")[0] for n in trainable_names(reader.model, phase_config(RECIPE, p))}
        for p in PHASES
        if p.name != "look"
    ]
    assert parts == [{"language_model"}, {"visual", "language_model"}, {"language_model"}, {"language_model"}]


def test_replicas_share_the_tokens_of_a_step():
    one, two = (phase_config(with_overrides(RECIPE, {"replicas": n}), PHASES[0]).batch_tokens for n in "12")
    assert one == RECIPE.text_batch_tokens == 2 * two


def test_a_gpu_is_for_one_process_which_may_train_by_the_clock():
    recipe = TinyRecipe(device="cuda", replicas=1, look_seconds=90)
    look = next(phase for phase in PHASES if phase.name == "look")
    config = phase_config(recipe, look)
    assert (config.device, config.seconds_budget, config.dtype) == ("cuda", 90, "bfloat16")
    assert phase_config(TinyRecipe(), look).seconds_budget is None
    with pytest.raises(ConfigError, match="2 replicas are for a CPU"):
        TinyRecipe(device="cuda")
    for alone in ({"look_pool": 256}, {"act_seconds": 60}):
        with pytest.raises(ConfigError, match="for one process"):
            TinyRecipe(**alone)


def test_a_pictures_columns_turn_visibly_for_a_new_model(processor):
    text = tiny_model.shape(processor).text
    base, (time, rows, _) = text.rope_theta, text.mrope_section
    pairs = sum(text.mrope_section)
    assert base ** (-time / pairs) > 0.3
    assert base ** (-(time + rows) / pairs) > 0.05


def test_a_new_model_speaks_the_processors_vocabulary(processor):
    model = tiny_model.create(RECIPE, processor)
    assert model.language_model.embed_tokens.weight.shape[0] == len(processor.tokenizer) == 323
    special = processor.tokenizer.special
    assert model.config.image_token_id == special.image_pad
    assert model.config.eos_token_ids == (special.im_end, special.endoftext)
    again = tiny_model.create(RECIPE, processor)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_a_saved_model_is_trained_on_in_float32(processor, tmp_path):
    tiny_model.create(RECIPE, processor).save_pretrained(tmp_path)
    assert {parameter.dtype for parameter in tiny_model.load(tmp_path).parameters()} == {torch.float32}


def test_the_processor_tells_the_agents_settings(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    back = Processor.from_pretrained(tmp_path)
    assert back.agent_settings["detail"] == "bare"
    assert back.image_processor.max_pixels == RECIPE.max_pixels


def test_demonstrations_are_of_the_training_split_and_not_recorded_twice(data, monkeypatch):
    folders = episodes(data / "episodes")
    assert len(folders) == 2
    for folder in folders:
        header = read_header(folder)
        assert header.outcome == "success"
        assert header.config["split"] == "train"
        assert header.config["agent"]["detail"] == "bare"
    before = {path: path.stat().st_mtime_ns for path in (data / "episodes").rglob("*.json*")}
    monkeypatch.setattr(tiny_data, "get_suite", lambda _: TWO)
    tiny_data.demonstrate(RECIPE, data / "episodes")
    assert {path: path.stat().st_mtime_ns for path in (data / "episodes").rglob("*.json*")} == before


def test_corrections_are_learned_beside_demonstrations_however_they_ended(data, tmp_path):
    shutil.copytree(data / "episodes", tmp_path / "corrections")
    failed = episodes(tmp_path / "corrections")[0] / "episode.json"
    failed.write_text(failed.read_text("utf-8").replace('"success"', '"failure"'), "utf-8")
    for name in ("pages", "readings", "lines", "episodes"):
        (tmp_path / name).symlink_to(data / name)
    sources = {source.name: source for source, _ in tiny_data.mixture(RECIPE, "correct", tmp_path).sources}
    assert set(sources) - {source.name for source, _ in tiny_data.mixture(RECIPE, "act", data).sources} == {
        "corrections"
    }
    assert len(sources["corrections"].folders) == 2


@pytest.mark.parametrize("phase", ASKING)
def test_every_source_of_a_phase_gives_examples_that_can_be_encoded(phase, data, processor):
    mixture = tiny_data.mixture(RECIPE, phase, data)
    assert isinstance(mixture, Mixture)
    met = {mixture.pick(position)[0].name for position in range(BLOCK)}
    assert met == {source.name for source, _ in mixture.sources}
    assert phase != "text" or met == {"copying", "comparing"}
    special = processor.tokenizer.special
    for source, _ in mixture.sources:
        for index in range(3):
            encoded = source.example(index).encode(processor)
            ids, labels = encoded.inputs.input_ids, encoded.labels
            assert int(ids.max()) < len(processor.tokenizer)
            learnt = labels != -100
            assert learnt.any()
            assert torch.equal(ids[learnt], labels[learnt])
            assert not learnt[0]
            assert not (labels == special.image_pad).any()
            if encoded.inputs.image_grid_thw is None:
                assert source.name in ("copying", "comparing")
                continue
            pictures = int(encoded.inputs.image_grid_thw.prod(dim=1).sum())
            assert pictures == encoded.inputs.pixel_values.shape[0] == 4 * int((ids == special.image_pad).sum())


@pytest.mark.parametrize("phase", ASKING)
def test_a_phase_is_the_same_whenever_it_is_built(phase, data, processor):
    one, other = (tiny_data.mixture(RECIPE, phase, data) for _ in range(2))
    assert one.describe() == other.describe()
    for position in range(4):
        ids = [built.example(position).encode(processor).inputs.input_ids for built in (one, other)]
        assert torch.equal(*ids)


def test_acting_is_learnt_only_from_demonstrations_that_are_there(tmp_path):
    with pytest.raises(ConfigError, match="no episodes"):
        tiny_data.mixture(RECIPE, "act", tmp_path)


def test_a_phase_without_steps_is_left_out(monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr(tiny, "_train_phase", lambda recipe, phase, *_: trained.append(phase.name) or tmp_path)
    for name in ("prepare", "demonstrate", "correct"):
        monkeypatch.setattr(tiny_data, name, lambda *_: None)
    monkeypatch.setattr(tiny.tiny_embeds, "embed", lambda *_: None)
    for name in ("_score", "export"):
        monkeypatch.setattr(tiny, name, lambda *_: tmp_path)
    tiny.train(out=tmp_path, overrides={"know_steps": "0"})
    assert trained == ["text", "look", "act", "correct"]
