"""Encoders with an environment of their own: our adapters, beside small packages that offer the calls of the real ones.

The packages are in a virtual environment that holds numpy and torch, and not Earmark, as in real use. Each of them says
in its embeddings what it was given, so that rates, scales, shapes and pooling can be read off.
"""

import ast
import os
import pickle
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from earmark.errors import CheckpointError, EncoderError
from earmark.hear import outside
from earmark.hear.bridge import load_hear_encoder
from earmark.hear.check import check_encoder
from earmark.hear.outside import coala, esresnext, openl3, trill
from earmark.hear.processes import OtherProcess

LENGTHS = (0.1, 1.07)
TORCHOPENL3 = """
import numpy, torch
from torchopenl3 import models

def get_audio_embedding(audio, sr, model=None, input_repr="mel256", content_type="music", embedding_size=6144,
                        center=True, hop_size=0.1, batch_size=32, verbose=True, weight_path="", sampler="resampy"):
    assert isinstance(audio, torch.Tensor) and audio.ndim == 2 and sr == 48000 and center and not model.training
    audio = torch.nn.functional.pad(audio, (24000, 0))
    hop = int(hop_size * sr)
    missing = 48000 - audio.shape[1] if audio.shape[1] < 48000 else -(audio.shape[1] - 48000) % hop
    windows = torch.nn.functional.pad(audio, (0, missing)).unfold(1, 48000, hop)
    seconds = torch.arange(windows.shape[1]) * hop_size
    return model(windows), seconds.expand(len(audio), -1)
"""
TORCHOPENL3_MODELS = """
import torch
class PytorchOpenl3(torch.nn.Module):
    def __init__(self, content_type, input_repr, embedding_size):
        super().__init__()
        assert (input_repr, embedding_size) == ("mel256", 6144)
        self.layer = torch.nn.Linear(1, 6144)
    def forward(self, windows):
        return self.layer(windows.square().mean(dim=-1, keepdim=True).sqrt())
"""
ESRESNET_FBSP = """
import torch
import ignite_trainer as it
from utils import transforms
class ESResNeXtFBSP(it.AbstractNet):
    def __init__(self, n_fft, hop_length, win_length, window, normalized, onesided, spec_height, spec_width,
                 num_classes, apply_attention):
        super().__init__()
        assert (n_fft, hop_length, win_length, window, num_classes) == (2048, 561, 1654, "blackmanharris", 527)
        self.conv1 = torch.nn.Linear(1, 2048)
        self.fc = torch.nn.Linear(2048, num_classes)
    def _forward_pre_processing(self, x):
        return transforms.scale(x, -32768.0, 32767, -1.0, 1.0)
    def _forward_features(self, x):
        return [x.abs().median(dim=1, keepdim=True).values, x[:, :1] * 0]
    def _forward_reduction(self, x):
        return sum(map(self.conv1, x))
    def forward(self, x, y=None):
        return self.fc(self._forward_reduction(self._forward_features(self._forward_pre_processing(x))))
"""
TRANSFORMS = """
def scale(old_value, old_min, old_max, new_min, new_max):
    return (old_value - old_min) * (new_max - new_min) / (old_max - old_min) + new_min
"""
COALA_MODELS = """
import torch
class AudioEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1152)
        self.fc_audio = torch.nn.Linear(1152, 1152, bias=False)
        self.dropout = torch.nn.Dropout(0.5)
    def forward(self, x):
        assert x.shape[1:] == (1, 96, 96) and x.dtype == torch.float32
        z = self.layer(torch.stack([x.mean((1, 2, 3)), x[:, 0, 0, -1]], dim=1))
        return self.dropout(z), self.fc_audio(z)
"""
LIBROSA_FEATURE = """
import numpy
def melspectrogram(*, y, sr, n_fft, hop_length, n_mels, power):
    assert (sr, n_fft, hop_length, n_mels, power) == (22000, 1024, 512, 96, 1.0)
    columns = 1 + len(y) // hop_length
    padded = numpy.pad(y, (0, hop_length))[: columns * hop_length].reshape(columns, hop_length)
    level = numpy.abs(padded).mean(axis=1)
    return numpy.tile(level.astype("float32"), (n_mels, 1))
"""
TENSORFLOW = """
import numpy
class Module:
    pass
class Tensor:
    def __init__(self, values):
        self.values, self.dtype, self.shape = values, "float32", values.shape
    def numpy(self):
        return self.values
def convert_to_tensor(array):
    return Tensor(numpy.asarray(array))
"""
TENSORFLOW_HUB = """
import pathlib, numpy, tensorflow
def load(handle):
    scale = float(pathlib.Path(handle, "saved_model.pb").read_text())
    def call(samples, sample_rate):
        sound = samples.numpy()
        assert sample_rate == 16000 and sound.dtype == "float32" and sound.shape[1] >= 15360
        starts = range(0, sound.shape[1] - 15360 + 1, 2672)
        level = numpy.stack([numpy.abs(sound[:, start : start + 15360]).max(axis=1) for start in starts], axis=1)
        frames = scale * level[:, :, None] * numpy.linspace(1, 2, 12288, dtype="float32")
        return {"layer19": tensorflow.Tensor(frames), "embedding": tensorflow.Tensor(frames[:, :, :512])}
    return call
"""


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Make an environment with small packages in place of the real ones. Returns its folder."""
    folder = tmp_path_factory.mktemp("foreign")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    places = [*folder.glob("lib/python*/site-packages")]
    (places[0] / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not read
    texts = {
        "torchopenl3/__init__.py": TORCHOPENL3,
        "torchopenl3/models.py": TORCHOPENL3_MODELS,
        "librosa/__init__.py": "from librosa import feature",
        "librosa/feature.py": LIBROSA_FEATURE,
        "tensorflow.py": TENSORFLOW,
        "tensorflow_hub.py": TENSORFLOW_HUB,
    }
    texts = {places[0] / name: text for name, text in texts.items()} | {
        folder / "src/ESResNeXt-fbsp/model/esresnet_fbsp.py": ESRESNET_FBSP,
        folder / "src/ESResNeXt-fbsp/utils/__init__.py": "raise ImportError('data sets need pandas')",
        folder / "src/ESResNeXt-fbsp/utils/transforms.py": TRANSFORMS,
        folder / "src/coala/models_t1000.py": COALA_MODELS,
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """Work in a folder like a checkout. Returns the folder of public weights."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "checkpoints"


def save(file: Path, **sizes) -> dict[str, torch.Tensor]:
    """Write weights of linear layers {name: (inputs, outputs)} as the public file. Returns them."""
    torch.manual_seed(0)
    tensors = {
        f"{name}.{key}": value for name, size in sizes.items() for key, value in nn.Linear(*size).state_dict().items()
    }
    tensors.pop("fc_audio.bias", None)
    file.parent.mkdir(parents=True)
    torch.save(tensors, file)
    return tensors


def steps(*levels: float, seconds: float = 1.0) -> torch.Tensor:
    """Make clips of constant level that turns to nothing after half the time."""
    half = round(8000 * seconds)
    return torch.tensor(levels)[:, None] * torch.cat([torch.ones(half), torch.zeros(half)])


def check(module: str, foreign: Path, weights: str | None = None) -> list[str]:
    """Run check-encoder on a module in the foreign environment. Returns what it holds against it."""
    python = foreign / "bin" / "python"
    start = lambda: OtherProcess(python, 60)  # noqa: E731
    found = list(check_encoder(module, weights, start, device="cpu", threads=1, lengths=LENGTHS))
    assert len(found) > 15
    return [f"{finding.check}: {finding.problem}" for finding in found if finding.status != "ok"]


def load(module: str, foreign: Path, weights: str | None = None):
    return load_hear_encoder(module, weights, python=foreign / "bin" / "python", device="cpu", threads=1)


def test_openl3(foreign, work):
    tensors = save(work / "openl3" / "torchopenl3_mel256_music_6144.pth.tar", layer=(1, 6144))
    with load("earmark.hear.outside.openl3", foreign, "music") as encoder:
        assert (encoder.module_sample_rate, encoder.scene_embedding_size) == (48000, 6144)
        audio = steps(0.5, 0.1, seconds=2.0)
        frames, times = encoder.get_timestamp_embeddings(audio)
        scene = encoder.get_scene_embeddings(audio)
        assert encoder.facts["framework"] == "torch"
    assert frames.shape == (2, 16, 6144) and times[0].tolist() == pytest.approx([100.0 * row for row in range(16)])
    weight, bias = tensors["layer.weight"][:, 0], tensors["layer.bias"]
    assert torch.allclose(frames[0, 0], 0.5 * 0.5**0.5 * weight + bias, atol=2e-3)  # half a window lies before the clip
    assert torch.allclose(scene, frames.mean(1) + frames.amax(1), atol=1e-5)


def test_openl3_in_all_points(foreign, work):
    file = work / "openl3" / "torchopenl3_mel256_env_6144.pth.tar"
    save(file, layer=(1, 6144))
    found = check("earmark.hear.outside.openl3", foreign, str(file))
    assert [line.split(":")[0] for line in found] == ["timestamps"] and "every 100; wanted" in found[0]


def test_weights_are_looked_for_by_path_by_folder_and_in_the_working_folder(work):
    file = work / "openl3" / "weights.pth"
    with pytest.raises(CheckpointError, match=r"no .*/data/checkpoints/openl3/weights\.pth\. `.*checkpoint_openl3`"):
        outside.find_weights("", "openl3", "weights.pth")
    save(file)
    for given in ("", str(file.parent), str(file)):
        assert outside.find_weights(given, "openl3", "weights.pth").samefile(file)
    with pytest.raises(CheckpointError, match=r"no /no/such\.pth\."):
        outside.find_weights("/no/such.pth", "openl3", "weights.pth")


def test_esresnext(foreign, work):
    tensors = save(work / "esresnext" / "ESResNeXtFBSP_AudioSet.pt", conv1=(1, 2048), fc=(2048, 527))
    with load("earmark.hear.outside.esresnext", foreign) as encoder:
        assert encoder.module_sample_rate == 44100
        scene = encoder.get_scene_embeddings(torch.tensor([[0.5], [0.1]]).expand(-1, 16000))
        frames, times = encoder.get_timestamp_embeddings(torch.full((1, 16000), 0.5))
    weight, bias = tensors["conv1.weight"][:, 0], tensors["conv1.bias"]
    assert torch.allclose(scene[0], 0.5 * weight + 2 * bias, atol=0.02)  # int16 values were scaled to [-1, 1]
    assert scene.shape == (2, 2048) and torch.allclose(frames[0, 0], scene[0], atol=1e-6)
    assert times.tolist() == [[500.0]]
    assert [line.split(":")[0] for line in check("earmark.hear.outside.esresnext", foreign)] == ["timestamps"]


class Scaler:
    """Stand for scikit-learn's class in the pickle of the test."""


Scaler.__module__, Scaler.__qualname__, Scaler.__name__ = "sklearn.preprocessing._data", "MinMaxScaler", "MinMaxScaler"


def save_scaler(file: Path, monkeypatch, **values) -> None:
    scaler = Scaler()
    vars(scaler).update(values)
    monkeypatch.setitem(sys.modules, "sklearn.preprocessing._data", type(sys)("data"))
    sys.modules["sklearn.preprocessing._data"].MinMaxScaler = Scaler
    file.write_bytes(pickle.dumps(scaler, protocol=3))


def test_coala(foreign, work, monkeypatch):
    tensors = save(work / "coala" / coala.WEIGHTS, layer=(2, 1152), fc_audio=(1152, 1152))
    factors, summands = np.linspace(0.01, 0.02, 96, dtype="float32"), np.linspace(0, 1, 96)
    save_scaler(
        work / "coala" / coala.SCALER, monkeypatch, scale_=factors, min_=summands, clip=False, feature_range=(0, 1)
    )
    audio = steps(0.5, 0.05, seconds=12.0)
    with load("earmark.hear.outside.coala", foreign) as encoder:
        assert encoder.module_sample_rate == 22000
        frames, times = encoder.get_timestamp_embeddings(audio)
        scene = encoder.get_scene_embeddings(audio)
        short_frames, short_times = encoder.get_timestamp_embeddings(audio[:, :8000])
    assert frames.shape == (2, 5, 1152)  # 12 s are 516 columns, five frames of 96
    assert times[0].tolist() == pytest.approx([1200, 3600, 6000, 8400, 10800])
    log_mel = np.log(0.5 + np.finfo(np.float32).eps)
    wanted = np.array([(log_mel * factors + summands).mean(), log_mel * factors[-1] + summands[-1]], dtype="float32")
    assert torch.allclose(
        frames[0, 1], tensors["layer.weight"] @ torch.from_numpy(wanted) + tensors["layer.bias"], atol=1e-3
    )
    assert torch.allclose(scene, frames.mean(1) + frames.amax(1), atol=1e-5)
    assert short_frames.shape == (2, 4, 1152)  # zeros up to 10 s: 430 columns
    assert short_times[0].tolist() == pytest.approx([62.5, 187.5, 312.5, 437.5])
    assert [line.split(":")[0] for line in check("earmark.hear.outside.coala", foreign)] == [
        "sample_rate",
        "timestamps",
    ]


def test_noise_of_coala_is_that_of_the_original_but_for_its_draw():
    model = coala.Coala(nn.Identity(), coala.MinMaxScaler(), None)
    seen = []

    class Feature:
        def melspectrogram(self, *, y, **constants):
            seen.append(y)
            return np.ones((96, 1 + len(y) // 512), dtype="float32")

    model.librosa = type(sys)("librosa")
    model.librosa.feature, model.scaler.scale_, model.scaler.min_ = Feature(), np.ones(96), np.zeros(96)
    for samples in (22000, 220000, 220001):
        model.cut_frames(np.zeros(samples, dtype="float32"))
    assert [len(sound) for sound in seen] == [220000, 220000, 220001]
    assert np.array_equal(seen[0], seen[1]) and seen[0].min() >= 0 and 4.9e-4 < seen[0].max() < 5e-4
    assert not seen[2].any()


def test_a_scaler_that_would_run_code_is_refused(tmp_path, monkeypatch):
    file = tmp_path / coala.SCALER
    file.write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(CheckpointError, match=r"is not COALA's scaler \(it names posix\.getcwd\)"):
        coala.read_scaler(file)
    save_scaler(file, monkeypatch, scale_=np.ones(5), min_=np.ones(96))
    with pytest.raises(CheckpointError, match=r"holds \[\(5,\), \(96,\)\]; wanted scale_ and min_ of 96"):
        coala.read_scaler(file)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(CheckpointError, match="is not COALA's scaler"):
        coala.read_scaler(file)


def pack(archive: Path, **texts: str) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as opened:
        for name, text in texts.items():
            source = archive.parent / "member"
            source.write_text(text)
            opened.add(source, name)
            source.unlink()
    return archive


def test_trill(foreign, work):
    archive = pack(work / "trill" / trill.ARCHIVE, **{"./saved_model.pb": "2.0", "./variables/variables.index": "-"})
    audio = steps(0.5, 0.1, seconds=3.0)
    with load("earmark.hear.outside.trill", foreign) as encoder:
        assert encoder.module_sample_rate == 16000 and encoder.facts["framework"] == "tensorflow"
        frames, times = encoder.get_timestamp_embeddings(audio)
        scene = encoder.get_scene_embeddings(audio)
        short = encoder.get_scene_embeddings(audio[:, :800])
    assert frames.shape == (2, 13, 12288) and times[0].tolist() == pytest.approx(
        [3000 / 13 * (row + 0.5) for row in range(13)]
    )
    assert torch.allclose(frames[0, 0], torch.linspace(1, 2, 12288), atol=1e-5) and not frames[0, -1].any()
    assert torch.allclose(scene, frames.mean(1) + frames.amax(1), atol=1e-5)
    assert torch.allclose(short[0], 2 * torch.linspace(1, 2, 12288), atol=1e-5)
    folder = work / "unpacked"
    folder.mkdir()
    trill.unpack(archive, folder)
    found = check("earmark.hear.outside.trill", foreign, str(folder))
    assert [line.split(":")[0] for line in found] == ["timestamps"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"../outside": "x"}, r"holds \.\./outside, which is no plain file in it"),
        ({"/outside": "x"}, r"holds /?outside, which is no plain file|no saved_model"),
        ({"trill/saved_model.pb": "x"}, r"no saved_model\.pb at its top"),
    ],
)
def test_archives_of_trill_that_are_refused(tmp_path, members, message):
    (tmp_path / "inner").mkdir()
    with pytest.raises(CheckpointError, match=message):
        trill.unpack(pack(tmp_path / "trill.tar.gz", **members), tmp_path / "inner")
    assert not (tmp_path / "outside").exists()


def test_a_damaged_archive_of_trill_is_refused(tmp_path):
    (tmp_path / "trill.tar.gz").write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match="cannot be unpacked"):
        trill.unpack(tmp_path / "trill.tar.gz", tmp_path)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (openl3, r"torchopenl3 cannot be imported by .*Make the environment as the head of envs/hear_openl3\.yaml"),
        (trill, r"tensorflow cannot be imported by .*envs/hear_trill\.yaml says, or name the Python"),
        (coala, r"there is no .*src/coala/models_t1000\.py\. Clone the original code as .*envs/hear_coala\.yaml"),
        (esresnext, r"there is no .*src/ESResNeXt-fbsp/model/esresnet_fbsp\.py\. Clone .*envs/hear_esresnext\.yaml"),
    ],
)
def test_original_code_that_is_not_there_is_told(work, monkeypatch, module, message):
    for name in ("torchopenl3", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)  # also where it is installed
    with pytest.raises(EncoderError, match=message):
        module.load_model()


def test_an_environment_that_lacks_the_package_is_told(work):
    with pytest.raises(EncoderError, match=r"load_model\(\) raised EncoderError: there is no .*src/coala"):
        load_hear_encoder("earmark.hear.outside.coala", device="cpu")


def test_files_need_no_new_python_and_nothing_of_earmark_but_errors():
    for file in Path(outside.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(), feature_version=(3, 8))
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imported}
        ours = {name for name in names if name.split(".")[0] == "earmark"}
        assert ours <= {"earmark.errors", "earmark.hear.outside"}
        others = {name.split(".")[0] for name in names - ours} - sys.stdlib_module_names
        assert others <= ({"numpy"} if file.stem in ("trill", "__init__") else {"numpy", "torch"})
