"""The training loop: stop and go on, early stop, errors, signals."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from earmark.errors import ProtocolError, TrainingError
from earmark.training import loop
from earmark.training.checkpoints import newest_checkpoint
from earmark.training.loop import Schedule, finish

sys.path.insert(0, str(Path(__file__).parent))
from tiny import CPU, SCHEDULE, TinyBatches, mean_squared, run_tiny


class Stopped(Exception):
    """Stands for whatever ends a program."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run_tiny(tmp_path_factory.mktemp("unbroken") / "work")


def assert_same_training(found, wanted):
    for name, tensor in wanted.state.items():
        assert torch.equal(found.state[name], tensor), name
        assert torch.equal(found.last_state[name], wanted.last_state[name]), name
    timing = ["seconds"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(found.history).drop(columns=timing), pd.DataFrame(wanted.history).drop(columns=timing)
    )
    assert (found.steps, found.best_step, found.averaged_steps) == (
        wanted.steps,
        wanted.best_step,
        wanted.averaged_steps,
    )


@pytest.mark.parametrize("stops", [[0], [2], [3, 4], [5, 6, 7], [11, 35, 59]])
def test_training_cut_off_at_any_step_equals_an_unbroken_one(tmp_path, unbroken, stops):
    for stop in stops:

        def failing(model, batch, stop=stop):
            if batch.step == stop:
                raise Stopped
            return mean_squared(model, batch)

        with pytest.raises(Stopped):
            run_tiny(tmp_path / "work", failing)
    assert_same_training(run_tiny(tmp_path / "work"), unbroken)


KILLED = """
import os, signal, sys
from pathlib import Path
from tiny import mean_squared, run_tiny

def killed(model, batch):
    if batch.step == 32:
        os.kill(os.getpid(), signal.SIGKILL)
    return mean_squared(model, batch)

run_tiny(Path(sys.argv[1]), killed)
"""


def test_sigkill_and_start_again_equals_an_unbroken_run(tmp_path, unbroken):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "work")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    resumed_from = []

    def watching(model, batch):
        resumed_from.append(batch.step)
        return mean_squared(model, batch)

    assert_same_training(run_tiny(tmp_path / "work", watching), unbroken)
    assert resumed_from[0] == 30  # a checkpoint is written every third step


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGINT, KeyboardInterrupt, None),
        (signal.SIGTERM, SystemExit, 143),
        (signal.SIGUSR1, SystemExit, 128 + signal.SIGUSR1),
    ],
)
def test_signal_writes_a_checkpoint_and_nothing_is_lost(tmp_path, unbroken, number, error, code):
    def interrupted(model, batch):
        if batch.step == 16:
            os.kill(os.getpid(), number)
        return mean_squared(model, batch)

    before = signal.getsignal(number)
    schedule = replace(SCHEDULE, checkpoint_steps=None)
    with pytest.raises(error) as caught:
        run_tiny(tmp_path / "work", interrupted, schedule)
    assert getattr(caught.value, "code", None) == code
    assert signal.getsignal(number) is before
    assert newest_checkpoint(tmp_path / "work").name == "checkpoint_000000017.pt"
    assert_same_training(run_tiny(tmp_path / "work", mean_squared, schedule), unbroken)


def test_checkpoint_of_other_settings_is_not_used(tmp_path, unbroken):
    run_tiny(tmp_path / "work", digest="other")
    seen = []

    def watching(model, batch):
        seen.append(batch.step)
        return mean_squared(model, batch)

    assert_same_training(run_tiny(tmp_path / "work", watching), unbroken)
    assert seen[0] == 0


def test_loss_that_is_no_number_names_step_clips_and_checkpoint(tmp_path):
    def broken(model, batch):
        return mean_squared(model, batch) * (float("nan") if batch.step == 7 else 1.0)

    with pytest.raises(TrainingError) as caught:
        run_tiny(tmp_path / "work", broken)
    message = str(caught.value)
    ids = TinyBatches().batch(7).clip_ids
    assert "nan at step 7" in message
    assert all(clip in message for clip in ids)
    assert str(tmp_path / "work" / "checkpoint_000000007.pt") in message
    assert (tmp_path / "work" / "checkpoint_000000007.pt").is_file()


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(tmp_path):
    def poisoned(model, batch):
        loss = mean_squared(model, batch)
        if batch.step == 5:
            loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    with pytest.raises(TrainingError, match=r"at step 5, on the clips clip\d+, .*checkpoint_000000003\.pt"):
        run_tiny(tmp_path / "work", poisoned)


def test_mixed_precision_trains(tmp_path):
    trained = run_tiny(tmp_path / "work", hardware=replace(CPU, precision="bf16-mixed"))
    scores = [row["score"] for row in trained.history]
    assert min(scores) < 0.6 * scores[0]
    assert trained.state["0.weight"].dtype == torch.float32


def test_stops_when_the_patience_is_used_up(tmp_path):
    schedule = replace(SCHEDULE, patience=2, direction="up")  # the error falls, so "up" never improves again
    trained = run_tiny(tmp_path / "work", schedule=schedule)
    improved = [row["improved"] for row in trained.history]
    assert improved[-2:] == [0, 0]
    assert trained.steps < SCHEDULE.max_epochs * 10


def test_training_learns_and_reports_its_costs(unbroken):
    scores = [row["score"] for row in unbroken.history]
    assert len(scores) == 12
    assert min(scores[-3:]) < 0.5 * scores[0]
    assert 0 <= unbroken.waiting_share < 1
    assert unbroken.epochs == 6
    assert len(unbroken.averaged_steps) == 4
    assert set(unbroken.averaged_steps) == set(pd.DataFrame(unbroken.history).nsmallest(4, "score")["step"])


def test_validation_every_sixth_of_an_epoch_as_printed():
    schedule = Schedule(learning_rate=1e-4, max_epochs=100, patience=5, validations_per_epoch=6)
    assert schedule.validate_every(59_524) == 9_921  # at.md, section 3.1


def test_protocol_values_of_zero_are_refused():
    with pytest.raises(ProtocolError, match="patience"):
        Schedule(learning_rate=1e-4, max_epochs=1, patience=0)


def test_finish_removes_the_working_folder(tmp_path):
    run_tiny(tmp_path / "work")
    assert newest_checkpoint(tmp_path / "work") is not None
    finish(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_running_history_has_a_row_of_each_checkpoint_and_the_kept_one_does_not(tmp_path, unbroken):
    """Checkpoints at steps 3, 6 and so on, validations at 5, 10 and so on."""

    def failing(model, batch):
        if batch.step == 8:
            raise Stopped
        return mean_squared(model, batch)

    with pytest.raises(Stopped):
        run_tiny(tmp_path / "work", failing)
    rows = pd.read_csv(tmp_path / "work" / "history.csv")
    assert rows["step"].tolist() == [5, 6] and rows["epoch"].tolist() == [0.5, 0.6]
    assert rows["seconds"].is_monotonic_increasing and rows[["train_loss", "seconds"]].notna().all(axis=None)
    assert [row["step"] for row in unbroken.history] == list(range(5, 61, 5))


def test_checkpoints_wait_until_their_writing_is_a_fiftieth_of_the_time(tmp_path, monkeypatch):
    """A clock that moves 1 s a reading: writing one takes 1 s, so the next is due 50 s after it, not 2 s."""
    readings = iter(range(10**6))
    saved = []
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(readings))
    monkeypatch.setattr(loop, "save_checkpoint", lambda work, step, state: saved.append(step))
    run_tiny(tmp_path / "work", schedule=replace(SCHEDULE, checkpoint_steps=None, checkpoint_seconds=4.0))
    gaps = [later - earlier for earlier, later in pairwise(saved)]
    assert saved[0] <= 4 and all(gap >= 10 for gap in gaps[:-1])


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path):
    """Without batch normalisation parts differ from the whole by rounding alone; batches of 4, in parts of 2 and 2."""
    schedule = replace(SCHEDULE, max_epochs=2)
    sizes = []

    def counting(model, batch):
        sizes.append(len(batch.inputs))
        return mean_squared(model, batch)

    def plain_model():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))

    found = []
    for accumulate in (1, 2):
        hardware = replace(CPU, accumulate=accumulate)
        work = tmp_path / str(accumulate)
        found.append(loop.train(plain_model(), TinyBatches(), counting, None, schedule, 3, work, "d", hardware))
    assert sizes == [4] * 20 + [2] * 40
    for name, tensor in found[0].state.items():
        torch.testing.assert_close(found[1].state[name], tensor, rtol=1e-4, atol=1e-6)
    losses = [[row["train_loss"] for row in trained.history] for trained in found]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_the_scale_of_mixed_precision_goes_on(tmp_path):
    """float16 with a loss that overflows at first, so that the scale falls; on a CPU, whose scaler is torch's too."""
    schedule = replace(SCHEDULE, max_epochs=2)

    def run(work, compute_loss):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=7)
        precision = MixedPrecision("16-mixed", "cpu", scaler)
        fabric = Fabric(accelerator="cpu", devices=1, plugins=[precision])
        model = torch.nn.Linear(5, 1)
        torch.nn.init.constant_(model.weight, 0.1)
        torch.nn.init.constant_(model.bias, 0.1)
        hardware = replace(CPU, precision="16-mixed")
        trained = loop.train(model, TinyBatches(), compute_loss, None, schedule, 3, work, "d", hardware, fabric=fabric)
        return trained, scaler.state_dict()

    def failing(model, batch):
        if batch.step == 17:
            raise Stopped
        return mean_squared(model, batch)

    unbroken, wanted = run(tmp_path / "unbroken", mean_squared)
    with pytest.raises(Stopped):
        run(tmp_path / "work", failing)
    resumed, found = run(tmp_path / "work", mean_squared)
    assert found == wanted and wanted["scale"] < 2.0**40
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in unbroken.state.items())
