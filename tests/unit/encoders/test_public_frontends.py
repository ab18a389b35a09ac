"""The front-ends of PANNs and VGGish against numpy in double precision, written from their public code."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from earmark.errors import ConfigError
from earmark.files import read_yaml
from earmark.frontends import log_mel_frontend, n_frames, silence_level


@pytest.fixture(scope="module")
def frontends(root):
    return read_yaml(root / "config" / "frontends.yaml")


def sounds():
    """Give noise, a tone, and a click far below full scale, 1.5 s each."""
    time = np.arange(24000) / 16000
    click = np.zeros(24000)
    click[7000] = 0.01
    return np.stack([np.random.default_rng(0).normal(size=24000) * 0.1, 0.5 * np.sin(2 * np.pi * 440 * time), click])


def slaney_filterbank(f_min, f_max):
    """Compute librosa's bands: linear to 1,000 Hz and logarithmic above, each of area one over hertz."""

    def to_mel(hertz):
        return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)

    def to_hertz(mel):
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    edges = np.array([to_hertz(mel) for mel in np.linspace(to_mel(f_min), to_mel(f_max), 66)])
    bins, columns = np.arange(257) * 16000 / 512, []
    for lower, centre, upper in zip(edges, edges[1:], edges[2:], strict=False):
        sides = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
        columns.append(np.maximum(0, sides) * 2 / (upper - lower))
    return np.stack(columns, axis=1)


def panns_by_definition(waveform):
    padded = np.pad(waveform, 256, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    pieces = np.stack([padded[start : start + 512] for start in range(0, len(padded) - 511, 160)])
    power = np.abs(np.fft.rfft(pieces * window)) ** 2
    return 10 * np.log10(np.maximum(power @ slaney_filterbank(50, 8000), 1e-10)).T


def vggish_by_definition(waveform):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    pieces = np.stack([waveform[start : start + 400] for start in range(0, len(waveform) - 399, 160)])
    magnitude = np.abs(np.fft.rfft(pieces * window, n=512))
    mels = 1127 * np.log(1 + np.arange(257) * 16000 / 512 / 700)
    edges = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    bands = np.stack(
        [
            np.maximum(
                0,
                np.minimum(
                    (mels - edges[k]) / (edges[k + 1] - edges[k]), (edges[k + 2] - mels) / (edges[k + 2] - edges[k + 1])
                ),
            )
            for k in range(64)
        ],
        axis=1,
    )
    bands[0] = 0
    return np.log(magnitude @ bands + 0.01).T


@pytest.mark.parametrize(
    ("name", "by_definition", "frames"),
    [("panns_16k", panns_by_definition, 151), ("vggish", vggish_by_definition, 148)],
)
def test_frames_equal_the_definition(frontends, name, by_definition, frames):
    waveforms = sounds()
    found = log_mel_frontend(frontends[name])(torch.from_numpy(waveforms).float())
    assert found.shape == (3, 64, frames) and n_frames(24000, frontends[name]) == frames
    expected = np.stack([by_definition(waveform) for waveform in waveforms])
    # Single precision: what leaks from a tone into far bands is rounding, so PANNs is held to -60 dB there.
    least = -60 if name == "panns_16k" else -9
    assert_close(found.double().numpy().clip(min=least), expected.clip(min=least), atol=5e-3, rtol=0)


def test_panns_has_no_floor_below_the_maximum(frontends):
    click = torch.zeros(1, 16000)
    click[0, 8000] = 1.0
    log_mel = log_mel_frontend(frontends["panns_16k"])(click)
    assert log_mel.min() == pytest.approx(-100.0) and log_mel.max() - log_mel.min() > 60
    assert silence_level(frontends["panns_16k"]) == pytest.approx(-100.0)


def test_vggish_fills_one_example(frontends):
    frontend = log_mel_frontend(frontends["vggish"])
    assert frontend(torch.zeros(1, 10)).shape[2] == n_frames(10, frontends["vggish"]) == 96
    assert frontend(torch.zeros(1, 15759)).shape[2] == n_frames(15759, frontends["vggish"]) == 96
    assert frontend(torch.zeros(1, 15760)).shape[2] == n_frames(15760, frontends["vggish"]) == 97
    assert silence_level(frontends["vggish"]) == pytest.approx(np.log(0.01), rel=1e-5)


@pytest.mark.parametrize("changed", [{"mel_scale": "slaney"}, {"norm": "slaney"}])
def test_triangles_over_mel_are_refused_on_another_scale(frontends, changed):
    with pytest.raises(ConfigError, match=r"triangles: mel needs mel_scale: htk and norm: null"):
        log_mel_frontend({**frontends["vggish"], **changed})
