"""COALA's audio encoder as a HEAR module: 1,152 dimensions a frame of 2.2 s, 22,000 Hz (not 22,050).

Runs in the environment of envs/hear_coala.yaml, beside a clone of the original code. Sources: Favory et al. 2020 (arXiv
2006.08386); rate, spectrogram, zeros up to 10 s and frames of 96 columns as in its utils.py and encode.py, model
`dual_ae_c`, and the scaler that the authors of BYOL-A mended (EVAR, evar/ar_coala.py). The original code was run
with random weights and its own scaler, and not with the public ones; the tests use files of the same calls.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from earmark.errors import CheckpointError
from earmark.hear.outside import find_clone, find_weights, import_original, share_times

ENVIRONMENT = "hear_coala"
CLONE = "coala"
SAMPLE_RATE_HZ = 22000
DIMENSIONS = 1152
COLUMNS = 96  # of a spectrogram, in a frame
SHORTEST_SECONDS = 10
NOISE = 5e-4  # highest value of the noise that shorter clips get
SPECTROGRAM = {"n_fft": 1024, "hop_length": 512, "n_mels": 96, "power": 1.0}
WEIGHTS, SCALER = "audio_encoder_epoch_200.pt", "coala_scaler_top_1000_plus_clip.pkl"


class Coala(nn.Module):
    """Hold the original network, the factors and summands of its scaler [96] and librosa."""

    sample_rate = SAMPLE_RATE_HZ
    scene_embedding_size = DIMENSIONS
    timestamp_embedding_size = DIMENSIONS

    def __init__(self, network: nn.Module, scaler: MinMaxScaler, librosa):
        super().__init__()
        self.network = network
        self.scaler = scaler
        self.librosa = librosa

    def cut_frames(self, clip: np.ndarray) -> np.ndarray:
        """Turn a clip [samples] into scaled log-mel frames, float32 [frames, 96 mels, 96 columns].

        A clip below 10 s gets zeros up to 10 s, and then noise up to 0.0005. Columns after the last whole frame are
        left out. Differs from the original: its noise is drawn anew for each clip, here it is the same for all, so that
        the same sound gives the same embedding.
        """
        shortest = SHORTEST_SECONDS * SAMPLE_RATE_HZ
        if len(clip) <= shortest:
            noise = NOISE * np.random.default_rng(0).random(shortest, dtype=np.float32)
            clip = np.pad(clip, (0, shortest - len(clip))) + noise
        mels = self.librosa.feature.melspectrogram(y=clip, sr=SAMPLE_RATE_HZ, **SPECTROGRAM)  # [mels, columns]
        log_mels = np.log(mels + np.finfo(np.float32).eps)
        count = log_mels.shape[1] // COLUMNS
        frames = log_mels[:, : count * COLUMNS].reshape(len(log_mels), count, COLUMNS).swapaxes(0, 1)
        return (frames * self.scaler.scale_ + self.scaler.min_).astype(np.float32)  # a factor for each column


class MinMaxScaler:
    """Stand for the class of scikit-learn: `scale_` and `min_`, [96] each, are all that is used."""


class _ScalerReader(pickle.Unpickler):
    """Read the scaler's pickle, which is refused where it names anything but the scaler and arrays of numpy."""

    def find_class(self, module: str, name: str):
        if name == "MinMaxScaler" and module.startswith("sklearn.preprocessing"):
            return MinMaxScaler
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module.split(".")[0], name) in (("numpy", "_reconstruct"), ("numpy", "scalar")):
            return getattr(sys.modules[np.zeros(0).__reduce__()[0].__module__], name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def load_model(model_file_path: str = "") -> Coala:
    """Load `dual_ae_c` in evaluation mode.

    `model_file_path`: the folder with its two files, such as `snakemake checkpoint_coala` fetches them, or the path of
    the weights beside the scaler. Raises EncoderError where the original code or librosa is not there, CheckpointError
    where a file is not there or the scaler's holds something else.
    """
    clone = find_clone(CLONE, "models_t1000.py", ENVIRONMENT)
    librosa = import_original("librosa", ENVIRONMENT)
    weights = find_weights(model_file_path, "coala", WEIGHTS)
    scaler = read_scaler(find_weights(str(weights.parent), "coala", SCALER))
    sys.path.insert(0, str(clone))
    network = import_original("models_t1000", ENVIRONMENT).AudioEncoder()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return Coala(network, scaler, librosa).eval()


def read_scaler(file: Path) -> MinMaxScaler:
    """Read the scaler without running what else a pickle may name. Raises CheckpointError for another content."""
    try:
        with file.open("rb") as opened:
            scaler = _ScalerReader(opened).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ValueError, TypeError) as error:
        raise CheckpointError(f"{file} is not COALA's scaler ({error}). Delete it and fetch it again.") from error
    shapes = [np.shape(getattr(scaler, name, None)) for name in ("scale_", "min_")]
    if shapes != [(COLUMNS,), (COLUMNS,)]:
        raise CheckpointError(f"{file} holds {shapes}; wanted scale_ and min_ of {COLUMNS} values. Fetch it again.")
    return scaler


def get_scene_embeddings(audio: torch.Tensor, model: Coala) -> torch.Tensor:
    """Encode [batch, samples] at 22,000 Hz as [batch, 1152]: mean over time and maximum over time, added."""
    frames, _ = get_timestamp_embeddings(audio, model)
    return frames.mean(dim=1) + frames.amax(dim=1)


def get_timestamp_embeddings(audio: torch.Tensor, model: Coala) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode [batch, samples] at 22,000 Hz as ([batch, frames, 1152], milliseconds [batch, frames]).

    A time is the middle of an equal share of the clip, also where some frames stand for the zeros after a short one.
    """
    frames = np.stack([model.cut_frames(clip) for clip in audio.cpu().numpy()])  # [batch, frames, mels, columns]
    count = frames.shape[1]
    given = torch.from_numpy(frames).flatten(end_dim=1)[:, None].to(audio.device)
    with torch.no_grad():
        embeddings, _ = model.network(given)  # the second is its projection for the contrastive loss
    times = torch.from_numpy(share_times(count, audio.shape[1], SAMPLE_RATE_HZ)).to(audio.device)
    return embeddings.unflatten(0, (len(audio), count)), times.expand(len(audio), -1)
