"""Networks of shapes alone, which a checkpoint's weights then fill."""

import subprocess
import sys

import torch

from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.initialise import shapes_only
from qwen2vl_agent.model.qwen2vl import Qwen2VL


def test_the_largest_network_has_all_its_shapes_and_takes_no_memory():
    with shapes_only():
        model = Qwen2VL(preset("72b"))
    assert all(parameter.is_meta for parameter in model.parameters())
    assert model.language_model.embed_tokens.weight.shape == (152064, 8192)


def test_modules_made_afterwards_have_values_again():
    with shapes_only():
        torch.nn.Linear(3, 3)
    assert torch.nn.Linear(300, 3).weight.std() > 0


def test_loading_a_checkpoint_does_not_import_torchs_compiler():
    program = (
        "import sys\n"
        "from qwen2vl_agent.commands.models import EMBEDDED\n"
        "from qwen2vl_agent.model.hf_checkpoint import load_model\n"
        "load_model(EMBEDDED, None)\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
