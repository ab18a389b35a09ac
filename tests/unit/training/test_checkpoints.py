"""Checkpoints survive damage; weights are written in an open form."""

import pytest
import torch
from safetensors.torch import load_file

from earmark.errors import TrainingError
from earmark.training.checkpoints import load_checkpoint, save_checkpoint, save_weights


def state(step):
    return {"digest": "d", "step": step, "w": torch.full((3,), float(step))}


def test_last_two_are_kept(tmp_path):
    for step in (1, 2, 30):
        save_checkpoint(tmp_path, step, state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint_000000002.pt", "checkpoint_000000030.pt"]
    assert load_checkpoint(tmp_path, "d")["step"] == 30


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_newest_gives_way_to_the_one_before(tmp_path, damage):
    save_checkpoint(tmp_path, 1, state(1))
    path = save_checkpoint(tmp_path, 2, state(2))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"truncated": content[:-20], "flipped": content, "empty": b""}[damage])
    assert load_checkpoint(tmp_path, "d")["step"] == 1


def test_no_checkpoint_and_other_settings_start_anew(tmp_path):
    assert load_checkpoint(tmp_path, "d") is None
    save_checkpoint(tmp_path, 1, state(1))
    assert load_checkpoint(tmp_path, "other") is None


def test_weights_are_readable_as_safetensors(tmp_path):
    tensors = {"w": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)}
    save_weights(tmp_path / "w.safetensors", tensors)
    assert torch.equal(load_file(tmp_path / "w.safetensors")["w"], tensors["w"])


def test_a_checkpoint_of_another_major_version_of_torch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "1.13.1")
    path = save_checkpoint(tmp_path, 1, state(1))
    assert load_checkpoint(tmp_path, "d")["torch"] == "1.13.1"
    monkeypatch.setattr(torch, "__version__", "2.0.0+cpu")
    with pytest.raises(TrainingError) as caught:
        load_checkpoint(tmp_path, "d")
    message = str(caught.value)
    assert f"{path} was written under torch 1.13.1, and this is torch 2.0.0+cpu" in message
    assert "Bring torch 1.13.1 back" in message and f"remove {tmp_path} to begin this training anew" in message
    assert load_checkpoint(tmp_path, "of other settings") is None  # it would not be used anyhow


def test_a_minor_version_of_torch_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.1.0")
    save_checkpoint(tmp_path, 1, state(1))
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    assert load_checkpoint(tmp_path, "d")["step"] == 1
