"""VGGish: a VGG on log-mel examples of 0.96 seconds; one embedding for each example.

Source: Hershey et al. 2017 and the public TensorFlow code; constants, layers and names of tensors as in the PyTorch
port that Niizumi et al. 2023 load (pytorch_vggish.pth). No principal components are taken after it, as in their code.
"""

import itertools
from collections.abc import Mapping

import torch
from torch import nn

from earmark.encoders import register_encoder
from earmark.encoders.byola import check_width, pool_time
from earmark.encoders.hear import encoder_input, scene_embeddings

MELS, EXAMPLE_FRAMES, EXAMPLE_MS = 64, 96, 960.0
BLOCKS = ((64,), (128,), (256, 256), (512, 512))  # channels of the convolutions before each pooling
HIDDEN, OUTPUT = 4096, 128


class Vggish(nn.Module):
    """Encode log-mel frames in examples of 96 that do not overlap; a last one that is not full is left out.

    `n_layers`: fully connected layers, each with ReLU, that an embedding has passed; all 3 are kept, so that the whole
    public file fits. `width` scales channels and layers but the last one; 1.0 gives 72,141,184 parameters, and 128
    dimensions after three layers or 4,096 after one. Raises ConfigError for a width of 0 or less.
    """

    frontend = "vggish"
    sample_rate = 16000
    head_dropout = 0.0
    input_statistics = None

    def __init__(self, n_layers: int, width: float = 1.0):
        super().__init__()
        check_width(width)
        self.n_layers = n_layers
        layers, channels = [], 1
        for block in BLOCKS:
            for base in block:
                outputs = max(1, round(base * width))
                layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU()]
                channels = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        shrink = 2 ** len(BLOCKS)
        flat = channels * (EXAMPLE_FRAMES // shrink) * (MELS // shrink)
        hidden = max(1, round(HIDDEN * width))
        sizes = [flat, hidden, hidden, OUTPUT]
        self.fc = nn.Sequential(
            *(layer for step in itertools.pairwise(sizes) for layer in (nn.Linear(*step), nn.ReLU()))
        )
        self.embedding_dim = self.scene_embedding_size = self.timestamp_embedding_size = sizes[n_layers]
        self.to(memory_format=torch.channels_last)  # 1.2 to 2 times faster on a CPU

    def forward_frames(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Encode [batch, mels, frames] as [batch, frames // 96, dim]."""
        count = log_mel.shape[2] // EXAMPLE_FRAMES
        examples = log_mel[..., : count * EXAMPLE_FRAMES].unflatten(2, (count, EXAMPLE_FRAMES))
        images = examples.permute(0, 2, 3, 1).flatten(0, 1)[:, None]  # [batch * count, 1, frames, mels]
        features = self.features(images.contiguous(memory_format=torch.channels_last))
        flat = features.permute(0, 2, 3, 1).flatten(1)  # frames, mels, channels: the order of TensorFlow
        return self.fc[: 2 * self.n_layers](flat).unflatten(0, (log_mel.shape[0], count))  # [batch, count, dim]

    def decision_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Pool [batch, examples, dim] over time to one row [batch, 1, dim]: mean plus maximum (Niizumi et al. 2023)."""
        return pool_time(frames, "mean_max")

    def trainable(self) -> list[nn.Parameter]:
        """List the parameters that fine-tuning trains: all that the embedding depends on."""
        return [*self.features.parameters(), *self.fc[: 2 * self.n_layers].parameters()]

    get_scene_embeddings = scene_embeddings

    def get_timestamp_embeddings(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode [batch, samples] as ([batch, examples, dim], milliseconds [batch, examples]), without gradients.

        Each time is the middle of an example; that of a clip shorter than one example is the middle of the clip.
        """
        with torch.no_grad():
            frames = self.forward_frames(encoder_input(self, audio))
        middles = (torch.arange(frames.shape[1], device=audio.device) + 0.5) * EXAMPLE_MS
        if frames.shape[1] == 1:
            middles = middles.clamp(max=500.0 * audio.shape[1] / self.sample_rate)
        return frames, middles.expand(audio.shape[0], frames.shape[1])

    @staticmethod
    def rename_public(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give the tensors of a public file our names; the torchvggish port calls the layers `embeddings`."""
        return {
            f"fc.{name.removeprefix('embeddings.')}" if name.startswith("embeddings.") else name: value
            for name, value in tensors.items()
        }


@register_encoder("vggish")
def build_vggish(width: float = 1.0) -> Vggish:
    """Build VGGish with the embedding of its last layer, 128-d."""
    return Vggish(3, width)


@register_encoder("vggish_4k")
def build_vggish_4k(width: float = 1.0) -> Vggish:
    """Build VGGish with the embedding after the first fully connected layer, 4,096-d, and its ReLU."""
    return Vggish(1, width)
