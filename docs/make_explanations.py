"""Makes what the explanations show by the project's own code: `python docs/make_explanations.py`.

Drawings go to `docs/images/`; listings go between `<!-- made: NAME -->` and `<!-- end -->` of the pages. A test
holds that both are what the code gives today.
"""

import re
from pathlib import Path

from drawing import BLUE, GREEN, GREY, ORANGE, QUIET, VIOLET, Drawing
from PIL import Image

from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.recipes.staged import plan_stage
from qwen2vl_agent.recipes.stages import STAGE_RECIPES
from qwen2vl_agent.schema.actions import Done, Tap
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR, Frame, smart_resize
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, tool_spec
from qwen2vl_agent.schema.trajectory import CallForm

DOCS = Path(__file__).parent
FORMS: tuple[CallForm, ...] = ("keyword", "tool_call")
MIN_PIXELS, PHONE_MAX_PIXELS = 4 * 28 * 28, 602_112
PICTURES = (("a phone, 1080 x 2400", 1080, 2400), ("a page, 1280 x 800", 1280, 800), ("an icon, 96 x 60", 96, 60))
WORLD = 512


def resolution() -> str:
    """Three pictures as they come, and the grid of tokens that each becomes."""
    drawing = Drawing(760, 330, "Three pictures of different sizes become grids of different numbers of tokens")
    left = 20.0
    for name, width, height in PICTURES:
        rows, columns = smart_resize(height, width, min_pixels=MIN_PIXELS, max_pixels=PHONE_MAX_PIXELS)
        across, down = columns // RESIZE_FACTOR, rows // RESIZE_FACTOR
        cell = 6.0 if across > 4 else 24.0
        drawing.text(left, 20, name)
        drawing.text(left, 40, f"seen as {columns} x {rows}", 12, colour=QUIET)
        drawing.text(left, 58, f"{across} x {down} = {across * down} tokens", 12, colour=QUIET)
        drawing.box(left, 75, across * cell, down * cell, fill=BLUE)
        for column in range(1, across):
            drawing.line(left + column * cell, 75, left + column * cell, 75 + down * cell)
        for row in range(1, down):
            drawing.line(left, 75 + row * cell, left + across * cell, 75 + row * cell)
        left += max(across * cell, 180) + 50
    return drawing.svg


def mrope() -> str:
    """The three positions of each token of a text with a picture of 2 x 3 cells in it."""
    words, pad, grid = ["Look", "here"], 151655, (1, 4, 6)
    ids = [1, 2, *[pad] * 6, 3, 4]
    tokens = preset("2b")
    positions = mrope_positions(ids, [grid], [], tokens)
    shown = [*words, *(f"cell {row},{column}" for row in range(2) for column in range(3)), "What", "is"]
    drawing = Drawing(790, 210, "M-RoPE gives each token a time, a row and a column")
    for index, name in enumerate(("token", "temporal", "height", "width")):
        drawing.text(10, 40 + 42 * index, name)
    for place, word in enumerate(shown):
        left, fill = 90 + 69 * place, BLUE if 2 <= place < 8 else GREY
        drawing.box(left, 22, 64, 34, word, fill=fill, size=12)
        for row in range(3):
            drawing.box(left, 64 + 42 * row, 64, 34, str(int(positions[row, place])), fill=fill)
    drawing.text(
        90, 196, "blue: the picture, 2 rows of 3 merged cells; the text after it goes on at the greatest + 1", 12
    )
    return drawing.svg


def parallel_plan() -> str:
    """The stages of the 72B network on 512 processes, as the planner of `train --dry-run` cuts it."""
    stages = plan_stage(STAGE_RECIPES["stage2"], WORLD, {"size": "72b"})
    tp, pp = 8, len(stages)
    dp = WORLD // (tp * pp)
    drawing = Drawing(790, 300, f"The 72B network on {WORLD} processes: {pp} stages, {tp} tensor, {dp} data parallel")
    for stage in stages:
        left = 10 + 97 * stage.stage
        parts = ["vision"] * stage.has_vision + [f"{len(stage.layers)} layers"] + ["head"] * stage.has_head
        drawing.text(left + 44, 18, f"stage {stage.stage}", 13, "middle")
        drawing.box(left, 34, 88, 62, *parts, fill=ORANGE if stage.has_vision else GREEN)
        for part in range(tp):
            drawing.box(left + 11 * part, 106, 9, 46, fill=BLUE)
        drawing.text(left + 44, 166, f"{stage.own_parameters / 1e9:.2f} B each", 12, "middle", QUIET)
        drawing.text(left + 44, 184, f"{stage.total_gib:.0f} GiB", 12, "middle", QUIET)
        if stage.stage:
            drawing.arrow((left - 9, 65), (left - 1, 65))
    drawing.text(10, 216, f"pipeline parallel: {pp} stages one after the other, micro-batches by 1F1B", 13)
    drawing.text(10, 238, f"tensor parallel: each matrix of a stage is cut among {tp} processes (blue)", 13)
    drawing.text(10, 260, f"data parallel: {dp} copies of all this, each with its own rows; optimizer shared out", 13)
    drawing.text(10, 284, "parameters and memory of one process; activations are an estimate", 12, colour=QUIET)
    return drawing.svg


STEP = (
    ("screen", "envs/", "a screenshot"),
    ("observation", "schema/", "picture, frame, words"),
    ("messages", "dialogue/compose", "goal, past, screen"),
    ("tokens", "dialogue/encode", "ids, patches, positions"),
    ("reply", "model/generate", "thought and call"),
    ("action", "dialogue/tool_call", "checked; points with frames"),
    ("record", "trajectory/record", "tokens, probabilities, deed"),
)


def data_flow() -> str:
    """An agent's step, and the way from its record into training."""
    drawing = Drawing(790, 300, "How an agent's step flows: from the screen to an action, a record, and training")
    for index, (name, room, about) in enumerate(STEP[:4]):
        drawing.box(10 + 198 * index, 20, 170, 70, name, room, about, fill=BLUE)
        if index:
            drawing.arrow((10 + 198 * index - 28, 55), (10 + 198 * index - 2, 55))
    for index, (name, room, about) in enumerate(reversed(STEP[4:])):
        drawing.box(208 + 198 * index, 125, 170, 70, name, room, about, fill=GREEN if name != "record" else VIOLET)
    drawing.arrow((689, 90), (689, 123))
    drawing.arrow((604, 160), (578, 160))
    drawing.arrow((406, 160), (380, 160))
    drawing.arrow((450, 125), (450, 107), (95, 107), (95, 92))
    drawing.text(160, 100, "rules, approval, then the device", 11, colour=QUIET)
    drawing.box(10, 225, 170, 60, "selection", "flywheel/", fill=VIOLET)
    drawing.box(208, 225, 170, 60, "examples", "data/examples", fill=VIOLET)
    drawing.box(406, 225, 170, 60, "the same encoder", "dialogue/encode", fill=BLUE)
    drawing.box(604, 225, 170, 60, "training", "three stages", fill=ORANGE)
    drawing.arrow((240, 195), (240, 209), (95, 209), (95, 223))
    for left in (180, 378, 576):
        drawing.arrow((left, 255), (left + 26, 255))
    return drawing.svg


DRAWINGS = {
    "dynamic-resolution.svg": resolution,
    "mrope.svg": mrope,
    "parallel-plan.svg": parallel_plan,
    "data-flow.svg": data_flow,
}


def as_seen(form: CallForm) -> str:
    """Two steps of an episode as the model reads them: control tokens by name, a picture's tokens counted."""
    processor = Processor.from_pretrained(EMBEDDED)
    screen, frame = Image.new("RGB", (112, 224)), Frame("screenshot", 112, 224)
    dialogue = Dialogue("Open Settings.", (tool_spec(Tap), tool_spec(Done)), form=form, detail="brief")
    reply = render_call("The icon is here: tap it.", ToolCall("tap", {"point": [621, 454]}), form)
    messages = compose(dialogue, [Turn(screen, "", reply)], Observation(screen, frame))
    ids = processor.encode(messages, add_generation_prompt=True).inputs.input_ids.tolist()
    text = processor.tokenizer.decode(ids)
    return re.sub(r"(<\|image_pad\|>)+", lambda run: f"<|image_pad|> x {len(run[0]) // len('<|image_pad|>')}", text)


LISTINGS = dict.fromkeys(FORMS, DOCS / "explanations" / "dialogue-forms.md")


def with_listing(page: str, name: str, text: str) -> str:
    """The page with `text` at its place."""
    pattern = re.compile(rf"(<!-- made: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert pattern.search(page), f"the page has no place for {name}"
    return pattern.sub(lambda found: f"{found[1]}\n```text\n{text}\n```\n\n{found[2]}", page)


def main() -> None:
    """All drawings and listings."""
    for name, draw in DRAWINGS.items():
        (DOCS / "images" / name).write_text(draw(), "utf-8")
    for form, page in LISTINGS.items():
        page.write_text(with_listing(page.read_text("utf-8"), form, as_seen(form)), "utf-8")


if __name__ == "__main__":
    main()
