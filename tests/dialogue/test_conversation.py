"""A conversation on one cache says what it would say without one, and knows what to do when it grows too long."""

from dataclasses import replace

import pytest
from model_sequences import SMALL, randomise
from PIL import Image

from qwen2vl_agent.dialogue.conversation import Conversation
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.schema.messages import ImagePart, VideoPart


@pytest.fixture(scope="module")
def processor():
    tokenizer = train_tokenizer(["You are a helpful assistant. What is it? user system"] * 3, 310)
    return Processor(tokenizer, ImageProcessor(min_pixels=784), VideoProcessor(784, 28 * 56))


@pytest.fixture(scope="module")
def model(processor):
    text = replace(SMALL.text, vocab_size=len(processor.tokenizer), num_hidden_layers=1)
    config = Qwen2VLConfig(text=text, vision=replace(SMALL.vision, depth=1), tie_word_embeddings=True, dtype="float32")
    return randomise(Qwen2VL(config.with_tokens(processor.tokenizer.special))).eval()


def picture(shade):
    return ImagePart(Image.new("RGB", (56, 84), (shade, 40, 90)))


QUESTIONS = [
    ("What is it?", [picture(10)]),
    ("And now?", []),
    ("Compare them.", [picture(200), VideoPart([Image.new("RGB", (28, 56), (n, 0, 0)) for n in range(5)])]),
    ("", [picture(10)]),
    ("Why?", []),
]


@pytest.mark.parametrize("sampling", [{}, {"temperature": 2.0, "seed": 5}])
def test_every_answer_is_that_of_the_whole_conversation_read_afresh(model, processor, sampling):
    talk, messages = Conversation(model, processor), []
    for question, shown in QUESTIONS:
        answer = talk.ask(question, shown, max_new_tokens=6, **sampling)
        kinds = {ImagePart: "image", VideoPart: "video"}
        content = [{"type": kinds[type(part)], kinds[type(part)]: getattr(part, kinds[type(part)])} for part in shown]
        content += [{"type": "text", "text": question}] if question else []
        messages.append({"role": "user", "content": content})
        inputs = processor.encode(messages, add_generation_prompt=True).inputs
        fresh = model.generate(inputs, max_new_tokens=6, never=model.config.placeholders, **sampling)
        assert answer.result.token_ids == fresh.token_ids
        assert answer.text == processor.decode(fresh.token_ids)
        assert answer.result.tokens["cached"] + answer.result.tokens["read"] == len(inputs.input_ids)
        messages.append(talk._said[-1])
    assert answer.result.tokens["cached"] > 0.8 * len(inputs.input_ids)


def test_text_is_told_as_it_is_written(model, processor):
    told = []
    answer = Conversation(model, processor).ask("What is it?", max_new_tokens=30, on_text=told.append)
    assert len(told) > 1
    assert answer.text.startswith("".join(told))


def test_what_the_model_is_to_be_stands_at_the_head(model, processor):
    one, other = (Conversation(model, processor, system).ask("Hm?", max_new_tokens=8) for system in ("", "Be rude."))
    assert one.result.logprobs != other.result.logprobs


def test_a_question_that_fails_was_never_asked(model, processor, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    talk, silent = Conversation(model, processor), Conversation(model, processor)
    for conversation in (talk, silent):
        conversation.ask("What is it?", [picture(1)], max_new_tokens=4)
    with pytest.raises(MediaError):
        talk.ask("And this?", [ImagePart(tmp_path / "broken.png")])
    one, other = (conversation.ask("Why?", max_new_tokens=4) for conversation in (talk, silent))
    assert one.result.logprobs == other.result.logprobs


def test_the_oldest_exchanges_go_when_the_context_is_full(model, processor):
    talk = Conversation(model, processor, context_tokens=260)
    forgotten = []
    for number in range(14):
        answer = talk.ask(f"What is it? {number}", [picture(number)], max_new_tokens=4)
        assert answer.result.tokens["cached"] + answer.result.tokens["read"] + 4 <= 260
        forgotten.append(answer.forgotten)
    assert sum(forgotten) > 3
    assert sum(count > 0 for count in forgotten) < 5, "several at once, so that it happens seldom"
    inputs = talk._encoded(talk._said[-2], len(talk._said) // 2)
    assert len(inputs.input_ids) < 100


def test_a_conversation_begun_again_has_forgotten_everything(model, processor):
    talk = Conversation(model, processor)
    first = talk.ask("What is it?", [picture(3)], max_new_tokens=4)
    talk.ask("Why?", max_new_tokens=4)
    talk.begin_again()
    assert talk.ask("What is it?", [picture(3)], max_new_tokens=4).text == first.text
