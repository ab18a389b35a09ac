"""Views of several data sets through one frozen encoder: crops, statistics, each clip once, going on after a stop."""

import math
import pickle
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soxr
import torch
from snakemake.iocontainers import Namedlist
from torch import nn

from earmark import _crops, embed
from earmark._crops import draw_start
from earmark.datasets import Clip
from earmark.encoders import BUILDERS, load_encoder
from earmark.encoders.byola import Byola
from earmark.encoders.hear import frontend_constants
from earmark.errors import ConfigError, EncoderError, ProtocolError, StoreError
from earmark.features import compute_log_mel
from earmark.files import file_digest, read_yaml
from earmark.heads._linear_data import read_embeddings
from earmark.store import ClipStore
from earmark.store_writer import AudioWriter, write_index
from earmark.training.batches import derive_seed
from earmark.training.checkpoints import save_weights

sys.path.insert(0, str(Path(__file__).parent / "hear"))
import small_hear_module

FRONTEND = frontend_constants("byola")
PROVENANCE = {"scale": "mini", "code": "c", "inputs": "i"}
OPTIONS = {"width": 0.05}
SPLITS = ("train", "train", "valid", "test")
LENGTHS = (16000, 11000, 20000, 14000)  # samples; the crops of 0.8 s have 12,800
FILES = ("embeddings.npy", "index.parquet", "card.yaml")
LOG_MEL_FILES = ("frames.npy", "index.parquet", "statistics.json")
OUTPUT_NAMES = ("embeddings", "index", "card")


def write_dataset(folder: Path, name: str, count: int = 9, folds: int | None = None, order=None, log_mel=True) -> Path:
    """Write a store of noise and its log-mel cache; the sound of a clip depends on its name alone."""
    store = folder / name
    store.mkdir(parents=True)
    numbers = list(range(count)) if order is None else order
    clips, lengths = [], []
    with AudioWriter(store / "audio_16k.arrow") as writer:
        for number in numbers:
            lengths.append(LENGTHS[number % 4])
            loud = 10 ** np.random.default_rng(number).uniform(2, 4)
            writer.write(np.random.default_rng(number).normal(0, loud, lengths[-1]).astype(np.int16))
            fold = None if folds is None else 1 + number % folds
            split = "test" if folds else SPLITS[number % 4]  # with folds the split is of no account
            clips.append(Clip(f"{name}/{number}", str(number), f"{number}.wav", ("x",), split, fold))
    offsets = np.cumsum(lengths) - lengths
    write_index(store / "clips.parquet", clips, offsets, np.array(lengths))
    if log_mel:
        cache = store / "log_mel" / "byola"
        cache.mkdir(parents=True)
        outputs = [cache / file for file in LOG_MEL_FILES]
        compute_log_mel(store / "clips.parquet", store / "audio_16k.arrow", FRONTEND, *outputs)
    return store


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    """Give two data sets, one with splits, one with folds."""
    folder = tmp_path_factory.mktemp("data")
    return {"split": write_dataset(folder, "split"), "fold": write_dataset(folder, "fold", count=6, folds=3)}


@pytest.fixture
def run(tmp_path, stores, monkeypatch):
    """Give a function that embeds the two data sets and returns arrays, indexes and cards by name."""
    monkeypatch.setattr(embed, "GROUP_ITEMS", 2)
    monkeypatch.setattr(embed, "MARKER_SECONDS", 0.0)

    def call(folder: str = "out", names=("split", "fold"), view: str = "crop_0.8", stores=stores, **changes):
        arguments = view_arguments(tmp_path / folder, {name: stores[name] for name in names}, view)
        embed.embed_views(**{**arguments, **changes})
        return {name: read_view(tmp_path / folder / name) for name in names}

    return call


def view_arguments(out: Path, stores: dict[str, Path], view: str = "crop_0.8") -> dict:
    datasets = {
        name: {"store": store, "log_mel": store / "log_mel" / "byola", "view": view, "folder": out / name}
        for name, store in stores.items()
    }
    return {
        "datasets": datasets,
        "encoder": "byola",
        "encoder_options": OPTIONS,
        "weights": None,
        "frontend": FRONTEND,
        "module": None,
        "work": out / ".work",
        "provenance": PROVENANCE,
        "accelerator": "cpu",
    }


def read_view(folder: Path):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    card = read_yaml(folder / "card.yaml")
    return np.load(folder / "embeddings.npy"), pd.read_parquet(folder / "index.parquet"), card


def read_frames(store: Path) -> list[np.ndarray]:
    """Read a cache by numpy alone: [mels, frames] of each clip."""
    frames = np.load(store / "log_mel" / "byola" / "frames.npy")
    index = pd.read_parquet(store / "log_mel" / "byola" / "index.parquet")
    return [frames[row.frame_offset : row.frame_offset + row.n_frames].T for row in index.itertuples()]


def cut_log_mels(store: Path, is_first, n_frames: int = 81) -> list[np.ndarray]:
    """Cut the crops of all clips: the first frames, or from the drawn start; silence at the end."""
    found = []
    for number, log_mel in enumerate(read_frames(store)):
        spare = max(0, log_mel.shape[1] - n_frames)
        start = 0 if is_first(number) else draw_start(f"{store.name}/{number}", spare)
        piece = log_mel[:, start : start + n_frames]
        silence = np.full((64, n_frames - piece.shape[1]), math.log(1.1920929e-7), np.float32)
        found.append(np.concatenate([piece, silence], axis=1))
    return found


def initial_encoder(**options) -> nn.Module:
    torch.manual_seed(derive_seed(42, "init"))
    return load_encoder("byola", **(options or OPTIONS)).eval()


# What an embedding is


def is_test(number: int) -> bool:
    return SPLITS[number % 4] == "test"


@pytest.mark.parametrize(
    ("name", "is_first", "trains"),
    [
        ("split", is_test, lambda number: SPLITS[number % 4] == "train"),
        ("fold", lambda number: False, lambda number: number % 3 > 0),
    ],
)
@torch.no_grad()
def test_equals_extraction_of_one_clip_at_a_time(run, stores, name, is_first, trains):
    embeddings, index, card = run()[name]
    crops = cut_log_mels(stores[name], is_first)
    training = np.stack([crop for number, crop in enumerate(crops) if trains(number)]).astype(np.float64)
    assert card["normalisation"] == {
        "mean": pytest.approx(training.mean(), abs=1e-9),
        "std": pytest.approx(training.std(), abs=1e-9),
        "n_clips": len(training),
    }
    encoder = initial_encoder()
    for number, crop in enumerate(crops):
        normalised = torch.from_numpy((crop - np.float32(training.mean())) / np.float32(training.std()))
        frames = encoder.forward_frames(normalised[None])
        wanted = (frames.mean(dim=1) + frames.amax(dim=1))[0]  # the encoder's pooling, written out
        np.testing.assert_allclose(embeddings[number], wanted, atol=1e-5, rtol=0)
    assert embeddings.dtype == np.float32 and embeddings.shape == (len(crops), encoder.embedding_dim)
    assert index["clip_id"].tolist() == [f"{name}/{number}" for number in range(len(crops))]
    assert index["row_offset"].tolist() == list(range(len(crops))) and set(index["n_rows"]) == {1}


def test_each_clip_is_encoded_once_for_all_folds(run, monkeypatch):
    encoded, whole = [], Byola.forward_frames

    def counting(self, log_mel):
        encoded.append(len(log_mel))
        return whole(self, log_mel)

    monkeypatch.setattr(Byola, "forward_frames", counting)
    run()
    assert sum(encoded) == 9 + 6 and max(encoded) == 2


def test_the_card_says_what_the_rows_depend_on_and_cost(run, tmp_path):
    weights = tmp_path / "weights.safetensors"
    save_weights(weights, load_encoder("byola", **OPTIONS).state_dict())
    _, _, card = run(weights=weights, threads=1)["split"]
    assert card["encoder"] == "byola" and card["encoder_options"] == OPTIONS and card["frontend"] == dict(FRONTEND)
    assert card["weights_sha256"] == file_digest(weights)
    assert (card["view"], card["crop_seconds"], card["crop_seed"], card["precision"]) == (
        "crop_0.8",
        0.8,
        42,
        "float32",
    )
    assert card["dataset"] == "split" and card["layer"] == "last" and "mean" in card["pooling"]
    assert card["parameters"] == sum(value.numel() for value in initial_encoder().parameters())
    assert card["hours_of_audio"] == pytest.approx(9 * 0.8 / 3600) and card["seconds"] > 0
    assert card["seconds_per_hour"] == pytest.approx(card["seconds"] / card["hours_of_audio"])
    assert (card["device"], card["threads"], card["provenance"]) == ("cpu", 1, PROVENANCE)


def test_the_linear_probe_reads_the_rows_without_copying_them(run, tmp_path):
    embeddings, index, _ = run()["fold"]
    found = read_embeddings(tmp_path / "out" / "fold" / "embeddings.npy", index["clip_id"].tolist())
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, embeddings)


def test_random_weights_are_the_same_in_every_run(run):
    first, second = run("first", ["fold"])["fold"], run("second", ["fold"])["fold"]
    np.testing.assert_array_equal(first[0], second[0])
    assert first[2]["weights_sha256"] is None


# Crops


def test_a_start_depends_on_the_name_of_the_clip_alone():
    # Written down once: the same in every process, on every machine.
    assert [draw_start(name, 1000) for name in ("a", "b", "c")] == [88, 895, 928]
    drawn = [draw_start(str(number), 3) for number in range(4000)]
    np.testing.assert_allclose(np.bincount(drawn) / 4000, 0.25, atol=0.03)  # 4 standard deviations
    assert draw_start("a", 0) == 0


def test_crops_do_not_depend_on_the_order_of_the_clips(run, tmp_path, stores):
    order = [5, 3, 8, 0, 2, 7, 1, 6, 4]
    shuffled = write_dataset(tmp_path, "split", order=order)
    there = run("shuffled", ["split"], stores={"split": shuffled})["split"]
    here = run("ordered", ["split"])["split"]
    assert there[1]["clip_id"].tolist() == [f"split/{number}" for number in order]
    np.testing.assert_allclose(there[0], here[0][order], atol=1e-5)


class Eyes(nn.Module):
    """Give back what it is given: every 50th sample."""

    scene_embedding_size = 256

    def __init__(self, sample_rate: int = 16000, dim: int = 256, fault: str = ""):
        super().__init__()
        self.sample_rate, self.scene_embedding_size, self.fault = sample_rate, dim, fault
        self.layer = nn.Linear(2, 2)

    def get_scene_embeddings(self, audio: torch.Tensor) -> torch.Tensor:
        rows = audio[:, ::50]
        if self.fault == "nan":
            rows = torch.where(rows.abs().amax(dim=1, keepdim=True) > 0.2, torch.nan, rows)
        return {"rows": rows[1:], "pair": (rows, rows), "batch axis": rows.flatten()}.get(self.fault, rows)


@pytest.fixture
def eyes(monkeypatch):
    monkeypatch.setitem(BUILDERS, "eyes", Eyes)
    return {"encoder": "eyes", "encoder_options": {}, "frontend": None}


def cut_sound(store: Path, is_first, n_samples: int = 12800) -> np.ndarray:
    clips, found = ClipStore(store), []
    for number in range(len(clips)):
        sound = clips.samples(number) / 32768
        start = 0 if is_first(number) else draw_start(f"{store.name}/{number}", max(0, len(sound) - n_samples))
        piece = sound[start : start + n_samples]
        found.append(np.concatenate([piece, np.zeros(n_samples - len(piece))]))
    return np.stack(found).astype(np.float32)


def test_sound_is_cropped_and_zeros_stand_at_the_end(run, stores, eyes):
    found = run(**eyes)
    np.testing.assert_array_equal(found["split"][0], cut_sound(stores["split"], is_test)[:, ::50])
    np.testing.assert_array_equal(found["fold"][0], cut_sound(stores["fold"], lambda number: False)[:, ::50])
    card = found["split"][2]
    assert card["normalisation"] is None and card["frontend"] is None and card["parameters"] == 6


def test_sound_comes_at_the_rate_of_the_encoder(run, stores, eyes):
    options = {"encoder_options": {"sample_rate": 22000, "dim": 352}}
    embeddings, _, _ = run(**{**eyes, **options})["split"]
    crops = cut_sound(stores["split"], is_test)
    wanted = np.stack([soxr.resample(crop, 16000, 22000, "HQ")[::50] for crop in crops])
    np.testing.assert_allclose(embeddings, wanted, atol=1e-6)


def test_encoders_of_sound_need_no_log_mel(run, tmp_path, eyes):
    stores = {"split": write_dataset(tmp_path, "split", log_mel=False)}
    assert len(run(names=["split"], stores=stores, **eyes)["split"][0]) == 9


# Statistics


def test_statistics_take_no_more_clips_than_asked_and_the_same_in_any_order(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_crops, "STATISTICS_CLIPS", 3)
    found = run("ordered", ["split"])["split"][2]["normalisation"]
    shuffled = write_dataset(tmp_path, "split", order=[5, 3, 8, 0, 2, 7, 1, 6, 4])
    again = run("shuffled", ["split"], stores={"split": shuffled})["split"][2]["normalisation"]
    assert found["n_clips"] == 3 and again == pytest.approx(found)


def test_front_ends_without_normalisation_stay_as_they_are(run, stores, monkeypatch):
    _, _, card = run(names=["split"], frontend={**FRONTEND, "normalise": False})["split"]
    assert card["normalisation"] is None


def test_a_data_set_without_training_clips_is_refused(run, tmp_path):
    stores = {"one": write_dataset(tmp_path, "one", count=3, folds=1)}
    with pytest.raises(ProtocolError, match="one: no clip trains"):
        run(names=["one"], stores=stores)


# HEAR modules


@pytest.mark.parametrize("python", [None, sys.executable])
@pytest.mark.parametrize("pooling", ["scene", "mean", "mean_max"])
def test_a_hear_module_is_an_encoder(run, stores, tmp_path, monkeypatch, pooling, python):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    shutil.copy(small_hear_module.__file__, tmp_path / "viewed_module.py")
    (tmp_path / "half.txt").write_text("0.5")
    module = {"hear_module": "viewed_module", "weights": tmp_path / "half.txt", "pooling": pooling, "python": python}
    found = run(encoder=None, encoder_options={}, frontend=None, module=module)
    model = small_hear_module.load_model(tmp_path / "half.txt")
    crops = torch.from_numpy(cut_sound(stores["split"], is_test))
    frames, _ = small_hear_module.get_timestamp_embeddings(crops, model)
    wanted = frames.mean(dim=1) + (frames.amax(dim=1) if pooling == "mean_max" else 0)
    np.testing.assert_allclose(found["split"][0], wanted, atol=1e-6)
    card = found["split"][2]
    assert card["hear_module"] == "viewed_module" and card["weights_sha256"] == file_digest(tmp_path / "half.txt")
    assert card["module_facts"]["sample_rate_hz"] == 16000 and len(card["module_facts"]["source_sha256"]) == 64
    sys.modules.pop("viewed_module", None)


# Encoders that are wrong

FAILING = """{whole}

whole = get_scene_embeddings


def get_scene_embeddings(audio, model):
    {text}
    return whole(audio, model)
"""


@pytest.mark.parametrize(
    ("fault", "options", "message"),
    [
        ("nan", {}, r"split: eyes .* no finite numbers .* 'split/\d.*Look there for"),
        ("rows", {}, r"'split/0', 'split/1' and returned \[1, 256\]; wanted \[2, 256\]"),
        ("batch axis", {}, r"returned \[512\]; wanted \[2, 256\]"),
        ("pair", {}, r"returned a tuple; wanted \[2, 256\]"),
        ("", {"dim": 8}, r"returned \[2, 256\]; wanted \[2, 8\].* Mend the encoder"),
    ],
)
def test_a_wrong_encoder_is_refused_and_leaves_nothing(run, tmp_path, eyes, fault, options, message):
    with pytest.raises(EncoderError, match=message):
        run(**{**eyes, "encoder_options": {"fault": fault, **options}})
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".work"]


def test_only_the_clips_with_nan_are_named(run, stores, eyes, monkeypatch):
    monkeypatch.setattr(embed, "GROUP_ITEMS", 9)
    loud = np.flatnonzero(np.abs(cut_sound(stores["split"], is_test)[:, ::50]).max(axis=1) > 0.2)
    assert 0 < len(loud) < 5
    with pytest.raises(EncoderError) as caught:
        run(**{**eyes, "encoder_options": {"fault": "nan"}})
    names = [number for number in range(9) if f"'split/{number}'" in str(caught.value)]
    assert names == loud.tolist()


def test_nan_from_a_log_mel_encoder_is_refused(run, monkeypatch):
    whole = Byola.forward_frames
    monkeypatch.setattr(Byola, "forward_frames", lambda self, log_mel: whole(self, log_mel) / 0)
    with pytest.raises(EncoderError, match=r"byola was given the crops \[2, 64, 81\]"):
        run()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("return audio", r"fails on 'split/0', 'split/1'; failing_module: .*shape \[2, 12800\]"),
        ("return whole(torch.where(audio[:, -1:] == 0, torch.nan, audio), model)", r"fails on 'split/1'; .*NaN or inf"),
        ("assert len(audio) == 1", r"fails on 'split/0', 'split/1' together, on none alone; .*AssertionError"),
    ],
)
def test_a_hear_module_that_fails_is_named_with_its_clips(run, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = FAILING.format(whole=Path(small_hear_module.__file__).read_text(), text=text)
    (tmp_path / "failing_module.py").write_text(module)
    module = {"hear_module": "failing_module", "weights": None, "pooling": None, "python": None}
    with pytest.raises(EncoderError, match=rf"^split: failing_module was given .* of 2 clips and {message}"):
        run(encoder=None, encoder_options={}, frontend=None, module=module)
    sys.modules.pop("failing_module", None)


@pytest.mark.parametrize("view", ["whole", "crop_", "crop_x", "crop_0", "crop_-1", "crop_nan", "crop_inf", "chunks_1"])
def test_another_view_is_refused(run, view):
    with pytest.raises(ConfigError, match="unknown view"):
        run(view=view)


def test_one_encoder_is_wanted(run):
    with pytest.raises(ConfigError, match="one of the two"):
        run(encoder=None)
    with pytest.raises(ConfigError, match=r"pooling: found 'max'"):
        run(encoder=None, module={"hear_module": "x", "pooling": "max"})


def test_a_cache_of_other_clips_is_refused(run, stores):
    mixed = {"split": stores["split"].parent / "mixed"}
    shutil.copytree(stores["split"], mixed["split"], dirs_exist_ok=True)
    shutil.rmtree(mixed["split"] / "log_mel")
    shutil.copytree(stores["fold"] / "log_mel", mixed["split"] / "log_mel")
    with pytest.raises(StoreError, match="not of the clips of split"):
        run(names=["split"], stores=mixed)


def test_a_cache_cut_short_is_refused(run, tmp_path):
    stores = {"split": write_dataset(tmp_path, "split")}
    frames = stores["split"] / "log_mel" / "byola" / "frames.npy"
    frames.write_bytes(frames.read_bytes()[:-400])
    with pytest.raises(StoreError, match="cut short"):
        run(names=["split"], stores=stores)


# Going on


def stop_after(monkeypatch, clips: int, error: type[BaseException] = RuntimeError) -> list[int]:
    """Let the encoder fail when it has encoded so many clips (0: never); give the list of its batch sizes."""
    encoded, whole = [], Byola.forward_frames

    def counting(self, log_mel):
        if clips and sum(encoded) >= clips:
            raise error("stopped by the test")
        encoded.append(len(log_mel))
        return whole(self, log_mel)

    monkeypatch.setattr(Byola, "forward_frames", counting)
    return encoded


def assert_same_bytes(first: Path, second: Path) -> None:
    for name in ("split", "fold"):
        for file in FILES[:2]:
            assert (first / name / file).read_bytes() == (second / name / file).read_bytes()


@pytest.mark.parametrize("clips", [4, 11])  # in the first data set, in the second
def test_goes_on_after_an_error_and_gives_the_same_bytes(run, tmp_path, monkeypatch, clips):
    run("whole")
    with monkeypatch.context() as patched:
        before = stop_after(patched, clips)
        with pytest.raises(RuntimeError, match="stopped"):
            run("broken")
    assert [path.name for path in (tmp_path / "broken").iterdir()] == [".work"]
    after = stop_after(monkeypatch, 0)
    run("broken")
    assert sum(before) + sum(after) == 15
    assert_same_bytes(tmp_path / "whole", tmp_path / "broken")
    assert not (tmp_path / "broken" / ".work").exists()


KILLED = """
import os, pickle, signal, sys
import torch
torch.set_num_threads(1)
from earmark import embed
from earmark.encoders.byola import Byola

embed.GROUP_ITEMS, embed.MARKER_SECONDS = 2, 0.0
encoded, whole = [], Byola.forward_frames

def killing(self, log_mel):
    encoded.append(len(log_mel))
    if sum(encoded) > 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, log_mel)

Byola.forward_frames = killing
embed.embed_views(**pickle.load(sys.stdin.buffer))
"""


def test_goes_on_after_a_kill_and_gives_the_same_bytes(run, tmp_path, stores, monkeypatch):
    run("whole")
    arguments = pickle.dumps(view_arguments(tmp_path / "killed", stores))
    done = subprocess.run([sys.executable, "-c", KILLED], input=arguments, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [".work"]
    with (tmp_path / "killed" / ".work" / "fold" / "embeddings.npy").open("ab") as file:
        file.write(b"half a row")  # as a kill in the middle of a write leaves it
    encoded = stop_after(monkeypatch, 0)
    run("killed")
    assert sum(encoded) == 4  # 11 were stored: 9 of the first data set, a group of 2 of the second
    assert_same_bytes(tmp_path / "whole", tmp_path / "killed")


def test_a_stop_between_the_final_names_loses_nothing(run, tmp_path, monkeypatch):
    run("whole")
    whole, offered = embed._offer, []

    def stopping(source, target):
        if len(offered) == 4:
            raise KeyboardInterrupt
        offered.append(target)
        whole(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(embed, "_offer", stopping)
        with pytest.raises(KeyboardInterrupt):
            run("broken")
    for path in offered:  # what Snakemake does with the outputs of a job that failed
        path.unlink()
    encoded = stop_after(monkeypatch, 0)
    run("broken")
    assert not encoded
    assert_same_bytes(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.parametrize("change", ["code", "view", "rows"])
def test_what_waits_of_something_else_is_not_taken(run, tmp_path, monkeypatch, change):
    with monkeypatch.context() as patched:
        stop_after(patched, 11)
        with pytest.raises(RuntimeError, match="stopped"):
            run("broken")
    if change == "rows":
        (tmp_path / "broken" / ".work" / "fold" / "embeddings.npy").unlink()
    changes = {"code": {"provenance": {**PROVENANCE, "code": "d"}}, "view": {"view": "crop_0.7"}, "rows": {}}[change]
    encoded = stop_after(monkeypatch, 0)
    found = run("broken", **changes)
    assert sum(encoded) == (6 if change == "rows" else 15)
    wanted = run("whole", **changes)
    for name in ("split", "fold"):
        np.testing.assert_array_equal(found[name][0], wanted[name][0])


def test_results_go_to_another_disk_as_well(run, tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise OSError(18, "Invalid cross-device link")

    run("whole")
    monkeypatch.setattr(embed.os, "link", refuse)
    run("copied")
    assert_same_bytes(tmp_path / "whole", tmp_path / "copied")


# The script


def test_the_script_passes_on_what_snakemake_gives(run, root, tmp_path, stores, monkeypatch):
    run("whole")
    monkeypatch.setattr("earmark.gpu_slots.log_to", lambda path: None)
    caches = [store / "log_mel" / "byola" / file for store in stores.values() for file in LOG_MEL_FILES]
    sounds = [store / file for store in stores.values() for file in ("clips.parquet", "audio_16k.arrow")]
    given = Namedlist([str(path) for path in [*sounds, *caches]])
    for name, start, end in (("stores", 0, 4), ("log_mel", 4, 10), ("weights", 10, 10)):
        given._set_name(name, start, end)
    outputs = {file: [str(tmp_path / "out" / name / file) for name in stores] for file in FILES}
    params = {
        **{key: view_arguments(tmp_path, {})[key] for key in ("encoder", "encoder_options", "frontend", "module")},
        "datasets": dict.fromkeys(stores, "crop_0.8"),
        "work": str(tmp_path / "work"),
        "accelerator": "cpu",
        "code": "c",
    }
    fake = SimpleNamespace(
        log=[str(tmp_path / "log")],
        params=Namedlist(fromdict=params),
        input=given,
        output=SimpleNamespace(**{name: outputs[file] for name, file in zip(OUTPUT_NAMES, FILES, strict=True)}),
        wildcards=SimpleNamespace(scale="mini"),
        resources=SimpleNamespace(gpu=0),
        threads=torch.get_num_threads(),
    )
    runpy.run_path(str(root / "scripts" / "embed_views.py"), init_globals={"snakemake": fake})
    assert_same_bytes(tmp_path / "whole", tmp_path / "out")
    assert read_view(tmp_path / "out" / "fold")[2]["provenance"]["scale"] == "mini"
