"""Tagging pre-training on a corpus of tones: it learns, writes whole results, and resumes."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from earmark.errors import ProtocolError
from earmark.files import read_yaml
from earmark.pretraining import tagging

sys.path.insert(0, str(Path(__file__).parent))
from tagging_run import PROTOCOL, run_tagging, write_corpus


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(tagging, "load_encoder", tagging.load_encoder)  # put back at the end
    write_corpus(tmp_path)

    def call(folder="out", **changes):
        return run_tagging(tmp_path, tmp_path / folder, **changes)

    return call


def test_learns_and_writes_weights_card_and_history(run):
    out = run()
    card, history = read_yaml(out / "card.yaml"), pd.read_csv(out / "history.csv")
    assert card["metrics"]["map"] > card["chance"]["map"] + 20
    assert card["n_eval"] == 9 and card["n_train"] == 27
    assert card["n_classes_skipped"] == 1
    assert card["steps"] == 6 * 5  # 27 clips in batches of 6
    assert card["parameters_with_head"] - card["parameters"] == 6 * 4 + 4
    assert len(history) == len(set(history["step"])) and history["score"].max() > 0
    names = load_file(out / "weights.safetensors")
    assert {name.split(".")[0] for name in names} == {"encoder", "head"}
    assert not (out / "work").exists()


def test_the_card_says_how_many_clips_of_the_official_lists_are_there(run, tmp_path):
    ledger = tmp_path / "ledger.csv"
    ledger.write_text(
        "clip_id,source_path,status,detail\nx1,x1.wav,missing,no such file\n"
        ",,present,train: 27 of 28 listed clips\n,,present,all: 36 of 37 listed clips\n"
    )
    expected = ["train: 27 of 28 listed clips", "all: 36 of 37 listed clips"]
    assert read_yaml(run(ledger=ledger) / "card.yaml")["clips_present_of_official_lists"] == expected
    ledger.write_text("clip_id,source_path,status,detail\nx1,x1.wav,resampled,44100 Hz\n")
    assert tagging.read_presence(ledger) == []


def test_cut_off_and_started_again_equals_an_unbroken_run(run, monkeypatch):
    wanted = load_file(run() / "weights.safetensors")
    whole, left = tagging.clip_loss, [17]

    def failing(*args):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(tagging, "clip_loss", failing)
    protocol = {**PROTOCOL, "checkpoint_steps": 4}
    with pytest.raises(KeyboardInterrupt):
        run("broken", protocol=protocol)
    calls = []
    monkeypatch.setattr(tagging, "clip_loss", lambda *args: calls.append(1) or whole(*args))
    found = load_file(run("broken", protocol=protocol) / "weights.safetensors")
    assert len(calls) == 30 - 16
    assert all((found[name] == value).all() for name, value in wanted.items())


def test_empty_selection_is_refused(run):
    corpus = {"train": {"subset": ["balanced"]}, "valid": {"subset": ["none"]}, "test": {"subset": ["eval"]}}
    with pytest.raises(ProtocolError, match="no clip for valid"):
        run(corpus=corpus)
