"""ESResNe(X)t-fbsp as a HEAR module: 2,048 dimensions a clip, 44.1 kHz.

Runs in the environment of envs/hear_esresnext.yaml, beside a clone of the original code. Sources: Guzhov et al. 2021
(arXiv 2104.11587); constants of its AudioSet model, input on the scale of int16 and the layer before the classifier as
the authors of BYOL-A took them (EVAR, evar/ar_esresnext_fbsp.py). The original code was run with random weights,
beside a stand-in for torchvision, and not with the public ones; the tests use files of the same calls.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import torch
from torch import nn

from earmark.hear.outside import find_clone, find_weights, import_original

ENVIRONMENT = "hear_esresnext"
CLONE = "ESResNeXt-fbsp"
SAMPLE_RATE_HZ = 44100
DIMENSIONS = 2048
FULL_SCALE = 32767  # the original code takes int16 values and scales them itself
CONSTANTS = {
    "n_fft": 2048,
    "hop_length": 561,
    "win_length": 1654,
    "window": "blackmanharris",
    "normalized": True,
    "onesided": True,
    "spec_height": -1,
    "spec_width": -1,
    "num_classes": 527,
    "apply_attention": True,
}


class ESResNeXt(nn.Module):
    """Encode clips by the original network, without its classifier."""

    sample_rate = SAMPLE_RATE_HZ
    scene_embedding_size = DIMENSIONS
    timestamp_embedding_size = DIMENSIONS

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Encode [batch, samples] in [-1, 1] as [batch, 2048]; the network pools over time itself."""
        spectra = self.network._forward_pre_processing(FULL_SCALE * audio)
        return self.network._forward_reduction(self.network._forward_features(spectra))


def load_model(model_file_path: str = "") -> ESResNeXt:
    """Load the AudioSet model in evaluation mode.

    `model_file_path`: ESResNeXtFBSP_AudioSet.pt, such as `snakemake checkpoint_esresnext` fetches. Raises EncoderError
    where the original code is not there, CheckpointError where there are no weights.
    """
    clone = find_clone(CLONE, "model/esresnet_fbsp.py", ENVIRONMENT)
    file = find_weights(model_file_path, "esresnext", "ESResNeXtFBSP_AudioSet.pt")
    _leave_training_out(clone)
    network = import_original("model.esresnet_fbsp", ENVIRONMENT).ESResNeXtFBSP(**CONSTANTS)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return ESResNeXt(network).eval()


def get_scene_embeddings(audio: torch.Tensor, model: ESResNeXt) -> torch.Tensor:
    """Encode [batch, samples] at 44.1 kHz as [batch, 2048]."""
    with torch.no_grad():
        return model(audio)


def get_timestamp_embeddings(audio: torch.Tensor, model: ESResNeXt) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the scene embedding as the only one of a clip: ([batch, 1, 2048], its middle in ms [batch, 1])."""
    middle_ms = 500.0 * audio.shape[1] / SAMPLE_RATE_HZ
    return get_scene_embeddings(audio, model)[:, None], torch.full((len(audio), 1), middle_ms, device=audio.device)


def _leave_training_out(clone: Path) -> None:
    """Make the network importable without ignite, visdom and what the data sets of the original code need.

    Its classes inherit from two abstract ones of `ignite_trainer`, which add no behaviour; `utils` imports data sets.
    """
    sys.path.insert(0, str(clone))
    trainer = types.ModuleType("ignite_trainer")
    trainer.AbstractNet = trainer.AbstractTransform = nn.Module
    utils = types.ModuleType("utils")
    utils.__path__ = [str(clone / "utils")]
    sys.modules.update(ignite_trainer=trainer, utils=utils)
