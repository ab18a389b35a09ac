"""The loss of SimCLR: against the reference vectors, and over two processes as over one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from earmark.pretraining.simclr import nt_xent


def test_nt_xent_is_that_of_the_reference_vector(shared):
    content = json.loads((shared / "protocols" / "vectors_hares_fusion.json").read_text(encoding="utf-8"))
    vector = content["nt_xent"]
    views = (torch.tensor(vector[name], dtype=torch.float64) for name in ("view1", "view2"))
    assert float(nt_xent(*views, vector["tau"])) == pytest.approx(vector["simclr_2n_mean"], abs=1e-9)


def test_half_precision_is_computed_in_float32():
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(6, 8, generator=generator).bfloat16() for _ in range(2)]
    loss = nt_xent(*views, 0.1)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(nt_xent(*(view.double() for view in views), 0.1)), rel=1e-5)


def test_two_processes_have_loss_and_gradients_of_one(tmp_path):
    program = Path(__file__).parent / "simclr_run.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, program, tmp_path], env=environment, check=True, capture_output=True)
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert abs(found["loss"]) < 1e-12 and max(found["gradients"]) < 1e-12
