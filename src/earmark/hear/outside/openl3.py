"""OpenL3 as a HEAR module: torchopenl3 1.0.1, mel256, 6,144 dimensions a frame, 48 kHz.

Runs in the environment of envs/hear_openl3.yaml. Sources: Cramer et al. 2019; its torch port, which the authors of
BYOL-A evaluated with its own defaults (EVAR, evar/ar_openl3.py): windows of 1 s every 0.1 s, the first centred on the
clip's start. torchopenl3 was run with random weights, on torch 2.13, and not with the public ones; the tests use a
package of the same calls.
"""

from __future__ import annotations

import torch
from torch import nn

from earmark.hear.outside import find_weights, import_original

ENVIRONMENT = "hear_openl3"
SAMPLE_RATE_HZ = 48000
DIMENSIONS = 6144
HOP_SECONDS = 0.1
CONTENTS = ("env", "music")


class OpenL3(nn.Module):
    """Hold torchopenl3's network; env and music differ in their weights alone."""

    sample_rate = SAMPLE_RATE_HZ
    scene_embedding_size = DIMENSIONS
    timestamp_embedding_size = DIMENSIONS

    def __init__(self, network: nn.Module, package):
        super().__init__()
        self.network = network
        self.package = package


def load_model(model_file_path: str = "env") -> OpenL3:
    """Load OpenL3 in evaluation mode.

    `model_file_path`: env or music, whose weights `snakemake checkpoint_openl3` fetches, or the path of such a file.
    Raises EncoderError where torchopenl3 is not installed, CheckpointError where there are no weights.
    """
    package = import_original("torchopenl3", ENVIRONMENT)
    content = model_file_path if model_file_path in CONTENTS else None
    name = f"torchopenl3_mel256_{content or 'env'}_{DIMENSIONS}.pth.tar"
    file = find_weights("" if content else model_file_path, "openl3", name)
    models = import_original("torchopenl3.models", ENVIRONMENT)
    network = models.PytorchOpenl3(input_repr="mel256", embedding_size=DIMENSIONS, content_type=content or "env")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return OpenL3(network, package).eval()


def get_scene_embeddings(audio: torch.Tensor, model: OpenL3) -> torch.Tensor:
    """Encode [batch, samples] at 48 kHz as [batch, 6144]: mean over time and maximum over time, added."""
    frames, _ = get_timestamp_embeddings(audio, model)
    return frames.mean(dim=1) + frames.amax(dim=1)


def get_timestamp_embeddings(audio: torch.Tensor, model: OpenL3) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode [batch, samples] at 48 kHz as ([batch, frames, 6144], milliseconds [batch, frames]), every 100 ms."""
    with torch.no_grad():
        frames, seconds = model.package.get_audio_embedding(
            audio.contiguous(), SAMPLE_RATE_HZ, model=model.network, center=True, hop_size=HOP_SECONDS, verbose=False
        )
    return frames, (1000.0 * seconds).float()
