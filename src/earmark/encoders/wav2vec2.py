"""wav2vec 2.0, large, by the class of the package transformers: its feature extractor, and its last hidden layer.

Source: Baevski et al. 2020. Niizumi et al. 2023 evaluate wav2vec2-large-960h-lv60: 24 layers, layer normalisation
inside the feature extractor and before each part of a layer. Tensors have the names of the Hugging Face files.
"""

import re
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from earmark.encoders import register_encoder
from earmark.encoders._transformers import scale_depth, scale_hidden
from earmark.encoders.byola import check_width, pool_time
from earmark.encoders.hear import scene_embeddings, timestamp_embeddings

CONV_DIM, KERNELS, STRIDES = 512, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
LAYERS, HEADS = 24, 16
MIN_SAMPLES = 400  # what one frame sees
VARIANCE_FLOOR = 1e-7  # of the normalisation in the public feature extractor

# Names in torchaudio's copy, in bare models and in files written before torch 2.0, and names here.
PUBLIC_NAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^encoder\.transformer\.", "encoder."),
        (r"^encoder\.feature_projection\.", "feature_projection."),
        (r"^(feature_extractor|feature_projection|encoder)\.", r"wav2vec2.\1."),
        (r"\.pos_conv_embed\.conv\.weight_g$", ".pos_conv_embed.conv.parametrizations.weight.original0"),
        (r"\.pos_conv_embed\.conv\.weight_v$", ".pos_conv_embed.conv.parametrizations.weight.original1"),
    )
]
MASK = "masked_spec_embed"  # of pre-training; no embedding depends on it


class Wav2vec2(nn.Module):
    """Encode waveforms, each with zero mean and unit variance, in frames of 20 ms.

    `layer`: `features` is the feature extractor (512 dimensions, pooled by mean plus maximum; 4,210,176 parameters),
    `context` the last hidden layer (1,024 dimensions, mean; 315,437,696 parameters). `width` scales channels and heads,
    `depth` the layers. Raises ConfigError for a width or depth of 0 or less.
    """

    frontend = None
    sample_rate = 16000
    head_dropout = 0.0
    input_statistics = None

    def __init__(self, layer: str, width: float = 1.0, depth: float = 1.0):
        super().__init__()
        check_width(width)
        check_width(depth)
        # Seconds that only these encoders' jobs should pay.
        from transformers import Wav2Vec2Config, Wav2Vec2Model
        from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

        heads, hidden = scale_hidden(HEADS, width)
        channels = max(1, round(CONV_DIM * width))
        config = Wav2Vec2Config(
            conv_dim=(channels,) * len(KERNELS),
            conv_kernel=KERNELS,
            conv_stride=STRIDES,
            conv_bias=True,
            feat_extract_norm="layer",
            hidden_size=hidden,
            num_hidden_layers=scale_depth(LAYERS, depth),
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
            num_conv_pos_embedding_groups=heads,
            do_stable_layer_norm=True,
            layerdrop=0.0,
            apply_spec_augment=False,
            mask_time_prob=0.0,  # no masks, and no embedding of masks
        )
        self.layer = layer
        if layer == "features":
            self.feature_extractor = Wav2Vec2FeatureEncoder(config)
            for module in self.modules():
                if isinstance(module, nn.Conv1d):
                    nn.init.kaiming_normal_(module.weight)  # as the whole model does
        else:
            self.wav2vec2 = Wav2Vec2Model(config)
        self.embedding_dim = {"features": channels, "context": hidden}[layer]
        self.scene_embedding_size = self.timestamp_embedding_size = self.embedding_dim

    def prepare(self, audio: torch.Tensor) -> torch.Tensor:
        """Give each waveform of [batch, samples] zero mean and unit variance; clips under 400 samples get zeros first.

        Source: the public feature extractor; the variance is that of the whole clip, with 1e-7 added.
        """
        missing = MIN_SAMPLES - audio.shape[1]
        if missing > 0:
            audio = functional.pad(audio, (0, missing))
        variance, mean = torch.var_mean(audio, dim=1, keepdim=True, correction=0)
        return (audio - mean) / (variance + VARIANCE_FLOOR).sqrt()

    def forward_frames(self, waveform: torch.Tensor) -> torch.Tensor:
        """Encode normalised [batch, samples] as [batch, frames', dim], a frame for each 320 samples."""
        if self.layer == "features":
            return self.feature_extractor(waveform).transpose(1, 2)
        return self.wav2vec2(waveform).last_hidden_state

    def decision_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Pool [batch, frames', dim] over time to one row [batch, 1, dim].

        Features: mean plus maximum; context: mean. Source: Niizumi et al. 2023, section IV-C.
        """
        return pool_time(frames, "mean_max" if self.layer == "features" else "mean")

    def trainable(self) -> list[nn.Parameter]:
        """List the parameters that fine-tuning trains: all."""
        return list(self.parameters())

    get_scene_embeddings = scene_embeddings
    get_timestamp_embeddings = timestamp_embeddings

    def rename_public(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give the tensors of a public file our names: of Hugging Face's files or of torchaudio's copy."""
        renamed = {}
        for name, value in tensors.items():
            if name.endswith(MASK):
                continue
            for pattern, replacement in PUBLIC_NAMES if self.layer == "context" else ():
                name = pattern.sub(replacement, name)
            renamed[name] = value
        return renamed


@register_encoder("wav2vec2_features")
def build_features(width: float = 1.0) -> Wav2vec2:
    """Build the feature extractor of wav2vec 2.0."""
    return Wav2vec2("features", width)


@register_encoder("wav2vec2_context")
def build_context(width: float = 1.0, depth: float = 1.0) -> Wav2vec2:
    """Build the whole of wav2vec 2.0."""
    return Wav2vec2("context", width, depth)
