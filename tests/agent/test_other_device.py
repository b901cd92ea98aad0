"""A model on another device than the CPU: everything it is asked goes there with it, and it answers the same."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from other_device import Elsewhere, OtherDevice, moved, sequence, small

from qwen2vl_agent.agent import loading
from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.loading import LoadSettings, load, place_of
from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.agent.settings import EpisodePlan, taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.generate import Ending
from qwen2vl_agent.model.generate_many import Request, generate_many
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.sampling import Sampler
from qwen2vl_agent.model.sampling import SamplingConfig as Drawn
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.trajectory.store import read_episode


@pytest.fixture
def there() -> Any:
    with OtherDevice():
        yield


def test_tensors_of_two_devices_do_not_meet(there: Any) -> None:
    one = torch.ones(3).to("cuda")
    assert isinstance(one, Elsewhere)
    assert one.device.type == "cuda"
    assert (one + torch.ones(3, device="cuda")).tolist() == [2.0, 2.0, 2.0]
    assert (one * 2 + torch.tensor(1.0)).cpu().tolist() == [3.0, 3.0, 3.0], "numbers may come from anywhere"
    with pytest.raises(AssertionError, match=r"aten\.add"):
        one + torch.ones(3)
    with pytest.raises(AssertionError, match=r"aten\.cat"):
        torch.cat([one, torch.ones(3)])


def asked(inputs: ModelInputs) -> Request:
    return Request(inputs=inputs, ending=Ending(max_new_tokens=9, eos_token_ids=()), sampler=Sampler(Drawn()))


def test_the_network_gives_there_what_it_gives_here() -> None:
    model = small()
    inputs = sequence(model, 3)
    with torch.no_grad():
        expected = model(inputs)
    tokens = model.generate(inputs, max_new_tokens=24).token_ids
    many = generate_many(model, [asked(one) for one in (inputs, sequence(model, 5))])
    far = moved(copy.deepcopy(model))
    with OtherDevice(), torch.no_grad():
        found = far(inputs.to("cuda"))
        assert isinstance(found, Elsewhere)
        torch.testing.assert_close(found.cpu(), expected)
        cache = Cache()
        assert far.generate(inputs.to("cuda"), max_new_tokens=24, cache=cache).token_ids == tokens
        assert far.generate(inputs.to("cuda"), max_new_tokens=24, cache=cache).token_ids == tokens, "from the cache"
        both = [asked(one.to("cuda")) for one in (inputs, sequence(model, 5))]
        again = generate_many(far, both)
    assert [one.token_ids for one in again] == [one.token_ids for one in many]


def replies(out: Path, elsewhere: bool) -> list[list[int]]:
    model, processor = load(str(EMBEDDED), LoadSettings(compute="cpu"))
    policy = ModelPolicy(moved(model) if elsewhere else model, processor, SamplingConfig(max_new_tokens=60))
    config = dataclasses.replace(taught_settings(str(EMBEDDED)), max_steps=4)
    env = make_env("virtual-phone", size=(540, 1200))
    plan = EpisodePlan(out=out, task="contacts.open", seed=7, sync=False)
    run_episode(env, policy, plan, config, drive=drive_plainly)
    env.close()
    return [step.reply.token_ids for step in read_episode(out).steps]


def test_an_agent_acts_there_as_it_does_here(tmp_path: Path) -> None:
    expected = replies(tmp_path / "here", elsewhere=False)
    with OtherDevice():
        assert replies(tmp_path / "there", elsewhere=True) == expected
    assert len(expected) > 1


def test_where_a_model_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert place_of("auto", small=False, quantised=False) == "cuda"
    assert place_of("auto", small=True, quantised=False) == "cpu"
    assert place_of("auto", small=False, quantised=True) == "cpu"
    assert place_of("cuda", small=True, quantised=False) == "cuda"
    assert loading.full_size_dtype(10, "cuda") is torch.bfloat16
    with pytest.raises(ConfigError, match="quantised"):
        place_of("cuda", small=False, quantised=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert place_of("auto", small=False, quantised=False) == "cpu"
    with pytest.raises(ConfigError, match="give cpu"):
        load(str(EMBEDDED), LoadSettings(compute="cuda"))
