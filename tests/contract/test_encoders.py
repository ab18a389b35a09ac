"""Every encoder keeps the contract, whatever its architecture."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from earmark.encoders import Encoder, count_parameters, encoder_slugs, load_encoder
from earmark.encoders.hear import encoder_input
from earmark.files import read_yaml

ROOT = Path(__file__).resolve().parents[2]
FRONTENDS = read_yaml(ROOT / "config" / "frontends.yaml")
ROWS = {path.stem: read_yaml(path) for path in sorted((ROOT / "config" / "encoders").glob("*.yaml"))}
SECONDS = (0.1, 0.3, 1.0, 4.0, 10.0, 60.0)
# A quarter of the width, less where one core would need minutes.
OPTIONS = {
    "panns_cnn14": {"width": 1 / 16},
    "vggish": {"width": 1 / 16},
    "vggish_4k": {"width": 1 / 16},
    "ast": {"width": 1 / 24, "depth": 1 / 6},
    "wav2vec2_features": {"width": 1 / 16},
    "wav2vec2_context": {"width": 1 / 16, "depth": 1 / 12},
}


@pytest.fixture(scope="module", params=ROWS)
def encoder(request):
    torch.manual_seed(0)
    return load_encoder(request.param, **OPTIONS.get(request.param, {"width": 0.25})).eval()


def noise(seconds: float, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, int(seconds * 16000), generator=torch.Generator().manual_seed(3)) * 0.1


def test_rows_and_classes_have_the_same_names():
    assert sorted(ROWS) == encoder_slugs()


@pytest.mark.parametrize("slug", ROWS)
def test_full_definitions_have_the_stated_parameters(slug):
    with torch.device("meta"):  # shapes alone
        encoder = load_encoder(slug)
    assert count_parameters(encoder) == ROWS[slug]["parameters"]
    assert encoder.frontend == ROWS[slug]["frontend"]


@pytest.mark.parametrize("slug", ROWS)
def test_encoders_without_a_front_end_work_on_waveforms(slug):
    row = ROWS[slug]
    assert row["frontend"] in FRONTENDS or (row["frontend"] is None and row["input"] == "waveform")


@pytest.mark.parametrize("seconds", SECONDS)
def test_shapes_and_types(encoder, seconds):
    assert isinstance(encoder, Encoder)
    audio = noise(seconds, batch=1)
    scene = encoder.get_scene_embeddings(audio)
    frames, milliseconds = encoder.get_timestamp_embeddings(audio)
    assert scene.shape == (1, encoder.scene_embedding_size) and scene.dtype == torch.float32
    assert frames.shape[2] == encoder.timestamp_embedding_size and frames.shape[1] >= 1
    assert milliseconds.shape == frames.shape[:2]
    assert (milliseconds.diff(dim=1) > 0).all() and milliseconds[0, 0] > 0 and milliseconds[0, -1] < 1000 * seconds
    assert torch.isfinite(scene).all() and torch.isfinite(frames).all()


def test_a_clip_is_the_same_alone_and_in_a_batch(encoder):
    audio = noise(1.3, batch=4)
    together = encoder.get_scene_embeddings(audio)
    for row in range(4):
        assert_close(encoder.get_scene_embeddings(audio[row : row + 1])[0], together[row], atol=1e-4, rtol=1e-4)


def test_silence_is_finite_and_no_gradient_flows(encoder):
    scene = encoder.get_scene_embeddings(torch.zeros(1, 16000))
    assert torch.isfinite(scene).all() and not scene.requires_grad


def test_training_reaches_every_parameter(encoder):
    encoder.train()
    encoder.zero_grad()
    encoder.decision_frames(
        encoder.forward_frames(encoder_input(encoder, noise(1.0, batch=4)))
    ).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.trainable())
    encoder.eval()
