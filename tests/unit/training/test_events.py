"""Curves for TensorBoard, recorded by a stand-in for its writer."""

import sys
from types import ModuleType
from typing import ClassVar

import pytest

from earmark.training import events
from earmark.training.events import Events


class Writer:
    """Record what is written."""

    made: ClassVar[list] = []

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.values, self.is_closed = folder, purge_step, [], False
        self.made.append(self)

    def add_scalar(self, key, value, step):
        self.values.append((key, value, step))

    def flush(self):
        pass

    def close(self):
        self.is_closed = True


@pytest.fixture
def writers(monkeypatch):
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(events, "find_spec", lambda name: object())
    monkeypatch.setattr(Writer, "made", [])
    return Writer.made


def test_rows_become_curves_with_the_rate(tmp_path, writers):
    (tmp_path / "tb").mkdir()
    (tmp_path / "tb" / "of_an_earlier_training").touch()
    curves = Events(tmp_path / "tb", 0)
    curves.write({"step": 10, "epoch": 1.0, "train_loss": 2.5, "score": 30.0, "seconds": 4.0})
    curves.write({"step": 30, "epoch": 3.0, "train_loss": 1.5, "score": 40.0, "seconds": 9.0})
    curves.close()
    (writer,) = writers
    assert writer.values == [
        ("epoch", 1.0, 10),
        ("train_loss", 2.5, 10),
        ("score", 30.0, 10),
        ("epoch", 3.0, 30),
        ("train_loss", 1.5, 30),
        ("score", 40.0, 30),
        ("steps_per_second", 4.0, 30),  # 20 steps in 5 s
    ]
    assert writer.is_closed and writer.folder == str(tmp_path / "tb")
    assert not (tmp_path / "tb" / "of_an_earlier_training").exists()


def test_a_training_that_goes_on_keeps_what_was_written_up_to_its_checkpoint(tmp_path, writers):
    (tmp_path / "before").touch()
    Events(tmp_path, 20)
    assert writers[0].purge_step == 21 and (tmp_path / "before").exists()


def test_nothing_is_written_without_tensorboard_or_folder(tmp_path, writers, monkeypatch):
    Events(None, 0).write({"step": 1, "seconds": 1.0})
    monkeypatch.setattr(events, "find_spec", lambda name: None)
    curves = Events(tmp_path / "tb", 0)
    curves.write({"step": 1, "seconds": 1.0})
    curves.close()
    assert not writers and not (tmp_path / "tb").exists()


def test_torch_writes_event_files(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard (65 MB, optional) is not installed")
    curves = Events(tmp_path / "tb", 0)
    curves.write({"step": 1, "train_loss": 1.0, "seconds": 1.0})
    curves.close()
    assert list((tmp_path / "tb").glob("events.out.tfevents.*"))
