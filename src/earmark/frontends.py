"""Front-ends: from waveform to log-mel frames, on torchaudio, with the constants of `config/frontends.yaml`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from earmark.cpu_torchaudio import torchaudio
from earmark.errors import AudioError, ConfigError


class LogMel(nn.Module):
    """Turn waveforms into log-mel frames.

    Periodic Hann window, triangular mel bands. Frames are centred with reflect padding of n_fft / 2; with `centred:
    false` the first window starts at the first sample and there is no padding. `power: 1` takes magnitudes instead of
    power; `triangles: mel` draws bands straight over mel instead of over hertz. The floor of the dB form is taken per
    clip, so a clip gives the same frames alone and in a batch. Raises ConfigError for `triangles: mel` on another scale
    than htk.
    """

    def __init__(self, constants: Mapping[str, Any]):
        super().__init__()
        self.constants = dict(constants)
        is_centred = constants.get("centred", True)
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=constants["sample_rate_hz"],
            n_fft=constants["n_fft"],
            win_length=constants["window"],
            hop_length=constants["hop"],
            f_min=constants["f_min"],
            f_max=constants["f_max"],
            n_mels=constants["mels"],
            # A window shorter than n_fft lies in the middle of what is transformed; this moves it to the first sample.
            pad=0 if is_centred else (constants["n_fft"] - constants["window"]) // 2,
            power=float(constants.get("power", 2)),
            norm=constants["norm"],
            mel_scale=constants["mel_scale"],
            center=is_centred,
            pad_mode="reflect",
        )
        if constants.get("triangles") == "mel":
            self.mel.mel_scale.fb.copy_(mel_triangles(constants))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Compute log-mel frames.

        `waveform`: float32 [batch, samples] in [-1, 1], at the front-end's rate; clips shorter than `min_samples` get
        zeros on the right. Returns float32 [batch, mels, frames], frames as `n_frames` counts them: dB for `log: db`,
        natural logarithm for `log: natural`. Raises AudioError for a waveform that is not two-dimensional or has no
        samples.
        """
        if waveform.ndim != 2 or waveform.shape[1] == 0:
            raise AudioError(
                f"a front-end met a waveform of shape {tuple(waveform.shape)}; wanted [batch, samples > 0]"
            )
        missing = self.constants["min_samples"] - waveform.shape[1]
        if missing > 0:
            waveform = nn.functional.pad(waveform, (0, missing))
        return log_compress(self.mel(waveform), self.constants)


def log_mel_frontend(constants: Mapping[str, Any]) -> LogMel:
    """Build the front-end with these constants (a row of `config/frontends.yaml`)."""
    return LogMel(constants)


def mel_triangles(constants: Mapping[str, Any]) -> torch.Tensor:
    """Compute triangular bands whose sides are straight over mel: [1 + n_fft // 2, mels], highest weight 1.

    Source: the public code of VGGish (Hershey et al. 2017), where the bin of 0 Hz has no weight.
    """
    if constants["mel_scale"] != "htk" or constants["norm"] is not None:
        raise ConfigError("triangles: mel needs mel_scale: htk and norm: null; see config/frontends.yaml.")
    hertz = torch.linspace(0, constants["sample_rate_hz"] / 2, 1 + constants["n_fft"] // 2, dtype=torch.float64)
    limits = torch.tensor([constants["f_min"], constants["f_max"]], dtype=torch.float64)
    bins, (lowest, highest) = _hertz_to_mel(hertz)[:, None], _hertz_to_mel(limits)
    edges = torch.linspace(float(lowest), float(highest), constants["mels"] + 2, dtype=torch.float64)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    bands = torch.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)).clamp(min=0)
    bands[0] = 0
    return bands.float()


def _hertz_to_mel(hertz: torch.Tensor) -> torch.Tensor:
    return 2595 * torch.log10(1 + hertz / 700)


def log_compress(power: torch.Tensor, constants: Mapping[str, Any]) -> torch.Tensor:
    """Take the logarithm of mel power (or magnitude), per clip.

    `power`: [batch, mels, frames]; returns the same shape. Without `floor_db` there is no floor below the maximum.
    Source: Dinkel et al. 2022 (dB, 120 dB below the maximum), Niizumi et al. 2023 (natural logarithm with the float32
    epsilon added).
    """
    if constants["log"] == "natural":
        return torch.log(power + constants["floor"])
    # One channel axis makes torchaudio take one maximum a clip; without it the whole batch would share one.
    decibels = torchaudio.functional.amplitude_to_DB(
        power[:, None], multiplier=10.0, amin=constants["floor"], db_multiplier=0.0, top_db=constants["floor_db"]
    )
    return decibels[:, 0]


def silence_level(constants: Mapping[str, Any]) -> float:
    """Return the log-mel value of digital silence: what zero padding of the waveform gives away from its edge."""
    power = torch.zeros(1, 1, 1)
    return float(log_compress(power, constants)[0, 0, 0])


def n_frames(n_samples: int, constants: Mapping[str, Any]) -> int:
    """Count the frames of a clip of `n_samples` at the front-end's rate."""
    length = max(n_samples, constants["min_samples"])
    if constants.get("centred", True):
        return 1 + length // constants["hop"]
    return 1 + (length - constants["window"]) // constants["hop"]
