"""Audio Spectrogram Transformer, by the class of the package transformers.

Source: Gong et al. 2021 and their public code; Niizumi et al. 2023 evaluate its weights fine-tuned on AudioSet with all
labels. The class of transformers takes clips of 10.24 seconds; here clips of any length get the position embeddings
that the authors' code gives them. Constants of the input are those of its feature extractor.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from earmark.cpu_torchaudio import torchaudio
from earmark.encoders import register_encoder
from earmark.encoders._transformers import scale_depth, scale_hidden
from earmark.encoders.byola import check_width
from earmark.encoders.hear import scene_embeddings, share_time

MELS, FRAMES, PATCH, STRIDE = 128, 1024, 16, 10
BANDS, TIMES = 1 + (MELS - PATCH) // STRIDE, 1 + (FRAMES - PATCH) // STRIDE  # patches of a clip of 10.24 s
TOKENS = 2  # the class token and the distillation token come before the patches
LAYERS, HEADS = 12, 12
# Mean and deviation of AudioSet's features, printed in the authors' public code.
AUDIOSET_STATISTICS = (-4.2677393, 4.5689974)
WINDOW, HOP, N_FFT, PREEMPHASIS, F_MIN = 400, 160, 512, 0.97, 20.0
MIN_SAMPLES = WINDOW + (PATCH - 1) * HOP  # one patch

# Names in public files, the authors' and then the older ones of transformers, and names here.
PUBLIC_NAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^(module\.)?v\.cls_token$", "ast.embeddings.cls_token"),
        (r"^(module\.)?v\.dist_token$", "ast.embeddings.distillation_token"),
        (r"^(module\.)?v\.pos_embed$", "ast.embeddings.position_embeddings"),
        (r"^(module\.)?v\.patch_embed\.proj\.", "ast.embeddings.patch_embeddings.projection."),
        (r"^(module\.)?v\.norm\.", "ast.layernorm."),
        (r"^(module\.)?v\.blocks\.(\d+)\.", r"ast.layers.\2."),
        (r"^audio_spectrogram_transformer\.", "ast."),
        (r"^ast\.encoder\.layer\.", "ast.layers."),
        (r"^(ast\.layers\.\d+\.)norm1\.", r"\1layernorm_before."),
        (r"^(ast\.layers\.\d+\.)norm2\.", r"\1layernorm_after."),
        (r"^(ast\.layers\.\d+\.)attn\.qkv\.", r"\1attention.qkv."),
        (r"^(ast\.layers\.\d+\.)(attn\.proj|attention\.output\.dense)\.", r"\1attention.o_proj."),
        (r"^(ast\.layers\.\d+\.)attention\.attention\.query\.", r"\1attention.q_proj."),
        (r"^(ast\.layers\.\d+\.)attention\.attention\.key\.", r"\1attention.k_proj."),
        (r"^(ast\.layers\.\d+\.)attention\.attention\.value\.", r"\1attention.v_proj."),
        (r"^(ast\.layers\.\d+\.)intermediate\.dense\.", r"\1mlp.fc1."),
        (r"^(ast\.layers\.\d+\.)output\.dense\.", r"\1mlp.fc2."),
    )
]


@register_encoder("ast")
class Ast(nn.Module):
    """Encode Kaldi filter banks; an embedding is the mean of the class token and the distillation token.

    `width` scales the heads, `depth` the layers; 1.0 and 1.0 give 86,187,264 parameters and 768 dimensions.
    `input_statistics`: mean and deviation of the features; the input is (x - mean) / (2 deviation). Differs from
    Niizumi et al. 2023, whose code takes mean and deviation of each task: these calls know no data set. Raises
    ConfigError for a width or depth of 0 or less.
    """

    frontend = None
    sample_rate = 16000
    head_dropout = 0.0

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        input_statistics: tuple[float, float] = AUDIOSET_STATISTICS,
    ):
        super().__init__()
        check_width(width)
        check_width(depth)
        from transformers import ASTConfig, ASTModel  # seconds that only this encoder's jobs should pay

        self.input_statistics = input_statistics
        heads, self.embedding_dim = scale_hidden(HEADS, width)
        self.ast = ASTModel(
            ASTConfig(
                hidden_size=self.embedding_dim,
                num_hidden_layers=scale_depth(LAYERS, depth),
                num_attention_heads=heads,
                intermediate_size=4 * self.embedding_dim,
                layer_norm_eps=1e-6,  # the authors' code, through timm; transformers writes 1e-12
                patch_size=PATCH,
                frequency_stride=STRIDE,
                time_stride=STRIDE,
                max_length=FRAMES,
                num_mel_bins=MELS,
            )
        )
        self.scene_embedding_size = self.timestamp_embedding_size = self.embedding_dim

    def prepare(self, audio: torch.Tensor) -> torch.Tensor:
        """Compute normalised log filter banks [batch, 128, frames] of [batch, samples] at 16,000 Hz.

        Clips under 2,800 samples, which hold one patch, get zeros at the end.
        """
        missing = MIN_SAMPLES - audio.shape[1]
        if missing > 0:
            audio = functional.pad(audio, (0, missing))
        mean, deviation = self.input_statistics
        return (kaldi_filter_banks(audio) - mean) / (2 * deviation)

    def forward_frames(self, filter_banks: torch.Tensor) -> torch.Tensor:
        """Encode normalised [batch, 128, frames] as [batch, 1 + frames', dim].

        Row 0 stands for the whole clip; the others are the frames, each the mean over its patches in frequency.
        """
        embeddings = self.ast.embeddings
        patches = embeddings.patch_embeddings(filter_banks.transpose(1, 2))  # [batch, bands * times, dim]
        times = 1 + (filter_banks.shape[2] - PATCH) // STRIDE
        first = torch.cat([embeddings.cls_token, embeddings.distillation_token], dim=1)
        hidden = torch.cat([first.expand(len(patches), -1, -1), patches], dim=1)
        hidden = hidden + fit_positions(embeddings.position_embeddings, times)
        for layer in self.ast.layers:
            hidden = layer(hidden)
        hidden = self.ast.layernorm(hidden)
        clip = hidden[:, :TOKENS].mean(dim=1, keepdim=True)
        frames = hidden[:, TOKENS:].unflatten(1, (BANDS, times)).mean(dim=1)
        return torch.cat([clip, frames], dim=1)

    def decision_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the row that stands for the clip: [batch, 1, dim]."""
        return frames[:, :1]

    def trainable(self) -> list[nn.Parameter]:
        """List the parameters that fine-tuning trains: all."""
        return list(self.parameters())

    get_scene_embeddings = scene_embeddings

    def get_timestamp_embeddings(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode [batch, samples] as ([batch, frames', dim], milliseconds [batch, frames']), without gradients."""
        with torch.no_grad():
            frames = self.forward_frames(self.prepare(audio))[:, 1:]  # without the row that stands for the clip
        return frames, share_time(audio, self.sample_rate, frames.shape[1])

    @staticmethod
    def rename_public(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give the tensors of a public file our names: of the authors' files or of those of transformers."""
        renamed = {}
        for name, value in tensors.items():
            for pattern, replacement in PUBLIC_NAMES:
                name = pattern.sub(replacement, name)
            if ".attention.qkv." in name:
                for part, piece in zip("qkv", value.chunk(3), strict=True):
                    renamed[name.replace(".qkv.", f".{part}_proj.")] = piece
            else:
                renamed[name] = value
        return renamed


def fit_positions(positions: torch.Tensor, times: int) -> torch.Tensor:
    """Fit position embeddings to clips of another length, as the authors' code does.

    `positions`: [1, 2 + 12 * 101, dim] for 10.24 s. Returns [1, 2 + 12 * times, dim]: cut from the middle where the
    clip is shorter, interpolated (bilinear) where it is longer.
    """
    grid = positions[:, TOKENS:].transpose(1, 2).unflatten(2, (BANDS, TIMES))  # [1, dim, bands, times]
    if times < TIMES:
        start = TIMES // 2 - times // 2
        grid = grid[..., start : start + times]
    elif times > TIMES:
        grid = functional.interpolate(grid, size=(BANDS, times), mode="bilinear")
    return torch.cat([positions[:, :TOKENS], grid.flatten(2).transpose(1, 2)], dim=1)


def kaldi_filter_banks(audio: torch.Tensor) -> torch.Tensor:
    """Compute Kaldi's log filter banks of a batch: [batch, samples] at 16,000 Hz to [batch, 128, frames].

    25 ms symmetric Hann windows every 10 ms from the first sample on, each without its mean and with pre-emphasis 0.97;
    natural logarithm of power, floor 1.19e-7. Equals `torchaudio.compliance.kaldi.fbank` without dither, clip by clip.
    """
    frames = audio.unfold(1, WINDOW, HOP)  # [batch, frames, window]
    frames = frames - frames.mean(dim=2, keepdim=True)
    earlier = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
    window = torch.hann_window(WINDOW, periodic=False, dtype=audio.dtype, device=audio.device)
    spectrum = torch.fft.rfft((frames - PREEMPHASIS * earlier) * window, n=N_FFT)
    power = torch.view_as_real(spectrum).square().sum(dim=3)  # [batch, frames, 1 + n_fft // 2]
    bands, _ = torchaudio.compliance.kaldi.get_mel_banks(MELS, N_FFT, 16000.0, F_MIN, 0.0, 100.0, -500.0, 1.0)
    bands = functional.pad(bands, (0, 1)).to(power)  # [mels, 1 + n_fft // 2]: none reaches half the rate
    return (power @ bands.T).clamp(min=math.ldexp(1.0, -23)).log().transpose(1, 2)
