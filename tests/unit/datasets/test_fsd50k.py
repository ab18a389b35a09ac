"""FSD50K: generated archives and the real ground truth are read with official names, counts and labels."""

import zipfile
from collections import Counter

import pandas as pd
import pytest
import soundfile

from earmark.datasets import read_clips
from earmark.errors import MetadataError
from earmark.files import read_yaml
from earmark.mini import generate_archives

SLUG = "fsd50k"


@pytest.fixture(scope="module")
def spec(root):
    spec = read_yaml(root / f"config/datasets/{SLUG}.yaml")
    spec["mini"] |= {"seconds": 0.35, "min_seconds": 0.25}
    return spec


@pytest.fixture(scope="module")
def archives(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    generate_archives(SLUG, folder, spec, seed=1)
    return folder


@pytest.fixture
def unpacked(archives, tmp_path):
    for path in archives.iterdir():
        zipfile.ZipFile(path).extractall(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    for part in ("ground_truth", "train", "test"):
        zipfile.ZipFile(shared / f"samples/fsd50k-{part}-small.zip").extractall(folder)
    return folder


def change_table(path, change):
    change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)


def test_archives_have_the_official_names_and_need_no_volumes(spec, archives):
    wanted = {"FSD50K.dev_audio.zip", "FSD50K.eval_audio.zip", "FSD50K.ground_truth.zip"}
    assert {path.name for path in archives.iterdir()} == wanted
    needed = [file for file in spec["files"] if not file.get("optional")]
    assert {file["name"] for file in needed if "volumes_of" not in file} == wanted
    volumes = Counter(file["volumes_of"] for file in needed if "volumes_of" in file)
    assert volumes == {"FSD50K.dev_audio.zip": 5, "FSD50K.eval_audio.zip": 1}


def test_counts_labels_and_audio(spec, unpacked):
    clips = read_clips(SLUG, unpacked, spec)
    assert Counter(clip.split for clip in clips) == {"train": 100, "valid": 30, "test": 60}
    for split in ("train", "valid", "test"):
        labels = Counter(label for clip in clips if clip.split == split for label in clip.labels)
        assert set(labels) == set(spec["mini"]["mids"]) and len(labels) == 17 and min(labels.values()) >= 2
    for clip in clips:
        info = soundfile.info(unpacked / clip.audio)
        assert (info.samplerate, info.channels, info.subtype) == (44100, 1, "PCM_16")


def test_parents_of_a_label_are_labels_too(spec, unpacked):
    for clip in read_clips(SLUG, unpacked, spec):
        assert len(set(clip.labels)) == len(clip.labels)
        for label, parents in spec["mini"]["labels"].items():
            assert label not in clip.labels or set(parents) <= set(clip.labels)


def test_every_clip_is_a_recording_of_its_own(spec, unpacked):
    clips = read_clips(SLUG, unpacked, spec)
    assert len({clip.recording_id for clip in clips}) == len(clips)


def test_the_same_seed_gives_the_same_bytes(spec, archives, tmp_path):
    generate_archives(SLUG, tmp_path, spec, seed=1)
    for path in archives.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_missing_column_unknown_label_and_unknown_split_are_named(spec, unpacked):
    table = unpacked / "FSD50K.ground_truth/dev.csv"
    good = table.read_bytes()
    change_table(table, lambda rows: rows.assign(labels=["Barks,Dog", *rows["labels"][1:]]))
    with pytest.raises(MetadataError, match="'Barks'"):
        read_clips(SLUG, unpacked, spec)
    table.write_bytes(good)
    change_table(table, lambda rows: rows.assign(split=["validation", *rows["split"][1:]]))
    with pytest.raises(MetadataError, match=r"dev\.csv: column split holds 'validation'"):
        read_clips(SLUG, unpacked, spec)
    change_table(table, lambda rows: rows.drop(columns="split"))
    with pytest.raises(MetadataError, match=r"dev\.csv lacks the column\(s\) split"):
        read_clips(SLUG, unpacked, spec)


def test_official_metadata_gives_the_official_counts(spec, real):
    clips = read_clips(SLUG, real, spec)
    assert Counter(clip.split for clip in clips) == {"train": 36796, "valid": 4170, "test": 10231} == spec["counts"]
    vocabulary = pd.read_csv(real / "FSD50K.ground_truth/vocabulary.csv", header=None)
    assert spec["labels"] == vocabulary[1].tolist() and len(spec["labels"]) == 200
    assert {label for clip in clips for label in clip.labels} == set(spec["labels"])
    mids = dict(zip(vocabulary[1], vocabulary[2], strict=True))
    assert spec["mini"]["mids"].items() <= mids.items()


def test_official_clips_carry_the_parents_that_the_generator_adds(spec, real):
    clips = read_clips(SLUG, real, spec)
    for label, parents in spec["mini"]["labels"].items():
        found = [clip for clip in clips if label in clip.labels]
        assert len(found) > 50
        assert all(set(parents) <= set(clip.labels) for clip in found)


def test_official_clip_names_lead_to_the_audio(spec, real):
    clips = {clip.audio: clip for clip in read_clips(SLUG, real, spec)}
    found = [path.relative_to(real).as_posix() for path in real.glob("FSD50K.*_audio/*.wav")]
    assert len(found) == 80 and set(found) <= set(clips)
    assert Counter(clips[name].columns["subset"] for name in found) == {"dev": 40, "eval": 40}
