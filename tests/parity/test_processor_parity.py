"""Whole conversations: the same ids and pixels as transformers' processor with the published chat template."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from qwen_vocabulary import qwen2_folder
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

from qwen2vl_agent.dialogue.chatml import CHAT_TEMPLATE
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.geometry import MODEL_FRAME, smart_resize
from qwen2vl_agent.schema.messages import ImagePart, TextPart, VideoPart
from qwen2vl_agent.schema.observation import Clip, Observation
from qwen2vl_agent.schema.tools import tool_spec

# As published with Qwen2-VL-2B-, 7B- and 72B-Instruct, in chat_template.json.
PUBLISHED_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: "
    "{% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: "
    "{% endif %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class TorchlessVideoProcessor:
    """Stands in for transformers' video processor, which needs torchvision: its grids, without its pixels."""

    merge_size = 2
    model_input_names = ("pixel_values_videos", "video_grid_thw")

    def __call__(self, videos: list[list[Image.Image]], **_: Any) -> dict[str, Any]:
        grids = []
        for video in videos:
            size = smart_resize(video[0].height, video[0].width, min_pixels=128 * 784, max_pixels=768 * 784)
            grids.append([-(-len(video) // 2), size[0] // 14, size[1] // 14])
        return {"video_grid_thw": np.array(grids)}


@pytest.fixture(scope="module")
def ours() -> Processor:
    return Processor(Tokenizer.from_pretrained(qwen2_folder()))


@pytest.fixture(scope="module")
def reference() -> Any:
    """Put together by hand: its constructor accepts only a video processor that needs torchvision."""
    processor = object.__new__(Qwen2VLProcessor)
    processor.image_processor = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12_845_056)
    processor.tokenizer = AutoTokenizer.from_pretrained(qwen2_folder())
    processor.video_processor = TorchlessVideoProcessor()
    processor.chat_template = PUBLISHED_TEMPLATE
    processor.image_token, processor.video_token = "<|image_pad|>", "<|video_pad|>"
    processor.image_token_id, processor.video_token_id = 151_655, 151_656
    return processor


def picture(width: int, height: int) -> dict[str, Any]:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return {"type": "image", "image": Image.fromarray(pixels)}


def film(count: int, width: int = 160, height: int = 120) -> dict[str, Any]:
    frames = [Image.new("RGB", (width, height), (9 * index, 0, 0)) for index in range(count)]
    return {"type": "video", "video": frames}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


CONVERSATIONS = {
    "text": [{"role": "user", "content": "Hello!"}],
    "own system": [{"role": "system", "content": "Sei kurz."}, {"role": "user", "content": [text("Hallo")]}],
    "one image": [{"role": "user", "content": [picture(224, 224), text("Describe it.")]}],
    "odd sizes": [{"role": "user", "content": [picture(37, 500), text(" and "), picture(301, 299), text("?\n")]}],
    "image only": [{"role": "user", "content": [picture(64, 64)]}],
    "video": [{"role": "user", "content": [film(4), text("What happens?")]}],
    "odd video": [{"role": "user", "content": [text("A film: "), film(7, 300, 500), film(1)]}],
    "mixture": [
        {"role": "user", "content": [picture(100, 50), film(3), text("日本語 🎉"), picture(90, 90)]},
        {"role": "assistant", "content": "Two pictures\n\nand a film."},
        {"role": "user", "content": [text("\n\nTwo "), text("parts"), text("  joined "), film(2)]},
        {"role": "assistant", "content": [text("Yes.")]},
        {"role": "user", "content": "At <|object_ref_start|>it<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>?"},
    ],
    "roles in a row": [
        {"role": "user", "content": "a"},
        {"role": "user", "content": ""},
        {"role": "system", "content": "b"},
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("add_generation_prompt", [True, False])
def test_ids_pixels_and_grids_equal_the_reference(
    name: str, add_generation_prompt: bool, ours: Processor, reference: Any
) -> None:
    messages = CONVERSATIONS[name]
    inputs = ours(messages, add_generation_prompt=add_generation_prompt)
    rendered = reference.apply_chat_template(messages, add_generation_prompt=add_generation_prompt, tokenize=False)
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    images = [part["image"] for part in parts if part["type"] == "image"] or None
    videos = [part["video"] for part in parts if part["type"] == "video"] or None
    expected = reference(text=[rendered], images=images, videos=videos)
    assert inputs.input_ids.tolist() == expected["input_ids"][0]
    if images:
        torch.testing.assert_close(inputs.pixel_values, torch.tensor(expected["pixel_values"]), atol=1e-5, rtol=0)
        assert inputs.image_grid_thw.tolist() == expected["image_grid_thw"].tolist()
    if videos:
        assert inputs.video_grid_thw.tolist() == expected["video_grid_thw"].tolist()


def plain(part: Any) -> dict[str, Any]:
    """A part of a message as transformers takes it."""
    if isinstance(part, TextPart):
        return text(part.text)
    named = {"image": part.image} if isinstance(part, ImagePart) else {"video": part.video}
    return {"type": next(iter(named)), **named}


@pytest.mark.parametrize("alone", [True, False])
def test_a_step_with_a_video_equals_the_reference(alone: bool, ours: Processor, reference: Any) -> None:
    def seen(count: int) -> tuple[Image.Image, Clip]:
        frames = film(count, 280, 560)["video"]
        return frames[-1], Clip(tuple(frames), tuple(range(1 - count, 1)), 2.0, alone)

    dialogue = Dialogue("Open it.", tuple(tool_spec(kind) for kind in PHONE_ACTIONS), "tool_call")
    (first, earlier), (now, clip) = seen(5), seen(4)
    turns = [Turn(first, "", "Wait.", clip=earlier)]
    messages = compose(dialogue, turns, Observation(now, MODEL_FRAME, "It moves.", clip))
    inputs = ours(messages)
    told = [{"role": message.role, "content": list(map(plain, message.parts))} for message in messages]
    rendered = reference.apply_chat_template(told, add_generation_prompt=True, tokenize=False)
    parts = [part for message in messages for part in message.parts]
    expected = reference(
        text=[rendered],
        images=[part.image for part in parts if isinstance(part, ImagePart)] or None,
        videos=[part.video for part in parts if isinstance(part, VideoPart)],
    )
    assert inputs.input_ids.tolist() == expected["input_ids"][0]
    assert inputs.video_grid_thw.tolist() == expected["video_grid_thw"].tolist()
    assert (inputs.image_grid_thw is None) == alone
    start = inputs.input_ids.tolist().index(reference.video_token_id)
    grid = inputs.video_grid_thw[0]
    pair = int(grid[1] * grid[2]) // 4
    times = inputs.position_ids[0, start : start + 3 * pair]
    assert times.tolist() == [int(times[0]) + number for number in range(3) for _ in range(pair)]  # one each pair


def test_the_saved_template_is_the_published_one() -> None:
    assert CHAT_TEMPLATE == PUBLISHED_TEMPLATE
