"""Linear evaluation of whole tasks: folds, selection, rows of scores, resume, and input that cannot be used."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from earmark.errors import ProtocolError, StoreError, TrainingError
from earmark.heads import _linear_probe
from earmark.heads.linear import learning_rates_of, train_linear_probe, train_linear_probes
from earmark.metrics import evaluate
from earmark.provenance import inputs_digest

LABELS = ["bark", "bell", "hum"]
PROTOCOL = {
    "learning_rates": [1e-4, 1e-2],
    "batch_size": 16,
    "max_epochs": 15,
    "patience": 5,
    "valid_share": 0.1,
}
TASK = {
    "dataset": "sounds",
    "label_type": "single",
    "metric": "accuracy",
    "loss": "cross_entropy",
    "folds": "official",
}
NAMES = {"study": "byola", "task": "sounds", "representation": "tiny"}
PROVENANCE = {"scale": "mini", "code": "c", "config": "g", "inputs": "i", "started": "now", "versions": {"e": "0"}}
IDS = [f"clip{number:03d}" for number in range(120)]


@pytest.fixture
def folder(tmp_path):
    """Write 120 clips of three classes in two folds (and three splits), whose embeddings lie apart."""
    generator = np.random.default_rng(0)
    number = np.arange(len(IDS)) % 3
    embeddings = generator.normal(0, 1, (len(IDS), 8)) + 3.0 * np.eye(8)[number]
    np.save(tmp_path / "embeddings.npy", embeddings.astype(np.float32))
    pd.DataFrame({"clip_id": IDS}).to_parquet(tmp_path / "index.parquet")
    fold = pd.array(1 + (np.arange(len(IDS)) // 3) % 2, dtype="Int64")
    split = np.array(["train", "train", "train", "valid", "test"])[(np.arange(len(IDS)) // 3) % 5]
    clips = pd.DataFrame({"clip_id": IDS, "recording_id": IDS, "split": split, "fold": fold})
    clips.assign(labels=[[LABELS[k]] for k in number]).to_parquet(tmp_path / "clips.parquet")
    return tmp_path


def run(folder, **changes):
    options = {
        "clips": folder / "clips.parquet",
        "embeddings": [folder / "embeddings.npy"],
        "encoder": "tiny",
        "encoder_options": {},
        "task": TASK,
        "vocabulary": LABELS,
        "max_folds": None,
        "protocol": PROTOCOL,
        "seeds": [42, 43],
        "names": NAMES,
        "runs": folder / "runs",
        "scores": folder / "linear.parquet",
        "predictions": folder / "linear_predictions.parquet",
        "provenance": PROVENANCE,
        "accelerator": "cpu",
    }
    train_linear_probe(**{**options, **changes})
    return pd.read_parquet(folder / "linear.parquet")


def test_folds_and_seeds_give_a_row_each_with_rate_and_value(folder):
    rows = run(folder)
    assert list(zip(rows["seed"], rows["fold"], strict=True)) == [(42, 1), (43, 1), (42, 2), (43, 2)]
    assert set(rows["learning_rate"]) <= {1e-4, 1e-2}
    assert rows["value"].mean() > 70  # chance is a third
    assert set(rows["mode"]) == {"linear"}
    assert (rows["diverged_learning_rates"] == "").all()
    predictions = pd.read_parquet(folder / "linear_predictions.parquet")
    one = predictions[(predictions["seed"] == 42) & (predictions["fold"] == 1)]
    again = evaluate("accuracy", np.concatenate(one["targets"]), np.stack(one["scores"]))
    assert again == rows["value"].iloc[0]
    assert np.stack(one["scores"]).sum(axis=1) == pytest.approx(1)


def test_held_out_fold_selects_nothing(folder):
    """Other labels of the held-out clips change its score, not the head."""
    run(folder, max_folds=1)
    before = pd.read_parquet(folder / "linear_predictions.parquet")
    clips = pd.read_parquet(folder / "clips.parquet")
    held_out = (clips["fold"] == 1).to_numpy()
    clips.loc[held_out, "labels"] = clips.loc[held_out, "labels"].map(lambda _: ["bark"])
    clips.to_parquet(folder / "clips.parquet")
    run(folder, max_folds=1, runs=folder / "others")
    after = pd.read_parquet(folder / "linear_predictions.parquet")
    np.testing.assert_array_equal(np.stack(before["scores"]), np.stack(after["scores"]))


def test_finished_runs_are_not_trained_again_after_a_stop(folder, monkeypatch):
    expected = run(folder)
    for path in (folder / "runs").glob("*"):
        path.unlink()
    train_heads, calls = _linear_probe.train_heads, []

    def stop_at_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train_heads(*arguments)

    monkeypatch.setattr(_linear_probe, "train_heads", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    found = run(folder)
    assert len(calls) == 5  # two whole, one cut off, the last two
    pd.testing.assert_frame_equal(found[["value", "best_epoch"]], expected[["value", "best_epoch"]])


@pytest.mark.parametrize("task", [TASK, {key: value for key, value in TASK.items() if key != "folds"}])
def test_runs_side_by_side_equal_runs_one_after_another(folder, task):
    before = torch.get_num_threads()
    try:
        alone = run(folder, task=task, threads=1)
        scores = np.stack(pd.read_parquet(folder / "linear_predictions.parquet")["scores"])
        beside = run(folder, task=task, threads=3, runs=folder / "beside")
    finally:
        torch.set_num_threads(before)
    columns = ["seed", "fold", "value", "best_epoch", "learning_rate", "run_digest"]
    pd.testing.assert_frame_equal(beside[columns], alone[columns])
    np.testing.assert_allclose(
        np.stack(pd.read_parquet(folder / "linear_predictions.parquet")["scores"]), scores, atol=1e-5
    )


def test_fixed_learning_rate_of_a_task_takes_the_place_of_the_choice(folder):
    task = {key: value for key, value in TASK.items() if key != "folds"} | {"learning_rate": 3e-3}
    rows = run(folder, task=task, fixed_learning_rate=True)
    assert rows[["fold", "learning_rate", "n_learning_rates", "n_train"]].drop_duplicates().to_numpy().tolist() == [
        [0, 3e-3, 1, 72]
    ]


def test_learning_rate_is_fixed_only_where_asked_for_and_not_overruled():
    task, rates = {"learning_rate": 3e-3}, PROTOCOL["learning_rates"]
    assert learning_rates_of(task, "sounds", PROTOCOL, False) == rates
    assert learning_rates_of(task, "sounds", PROTOCOL, True) == [3e-3]
    assert learning_rates_of(task, "sounds", {**PROTOCOL, "tune_always": False}, True) == [3e-3]
    assert learning_rates_of(task, "sounds", {**PROTOCOL, "tune_always": True}, True) == rates
    with pytest.raises(ProtocolError, match=r"task sounds: .* add learning_rate to the task"):
        learning_rates_of({}, "sounds", PROTOCOL, True)


def test_runs_are_trained_again_when_the_learning_rate_is_fixed_later(folder):
    task = TASK | {"learning_rate": 3e-3}
    assert set(run(folder, task=task)["n_learning_rates"]) == {2}
    assert set(run(folder, task=task, fixed_learning_rate=True)["n_learning_rates"]) == {1}


FIXED_SPLIT = {key: value for key, value in TASK.items() if key != "folds"}


def run_all(folder, **changes):
    """Evaluate two tasks on the same clips: folds of the data set, and its fixed split."""
    tasks = {"folds": TASK, "split": FIXED_SPLIT}
    wanted = {"vocabulary": LABELS, "max_folds": None}
    options = {
        "tasks": {name: {"entry": task, "seeds": [42, 43], **wanted} for name, task in tasks.items()},
        "clips": [folder / "clips.parquet"] * 2,
        "embeddings": [folder / "embeddings.npy"] * 2,
        "encoder": "tiny",
        "encoder_options": {},
        "fixed_learning_rate": False,
        "protocol": PROTOCOL,
        "names": {"study": "byola", "representation": "tiny"},
        "runs": str(folder / "{task}" / "runs"),
        "scores": [folder / f"{name}.parquet" for name in tasks],
        "predictions": [folder / f"{name}_predictions.parquet" for name in tasks],
        "provenance": PROVENANCE,
        "accelerator": "cpu",
    }
    train_linear_probes(**{**options, **changes})
    return [pd.read_parquet(path) for path in options["scores"]]


def test_all_tasks_in_one_call_equal_each_alone_and_name_their_inputs(folder):
    found = run_all(folder)
    for rows, name, task in zip(found, ("folds", "split"), (TASK, FIXED_SPLIT), strict=True):
        alone = run(folder, task=task, names={**NAMES, "task": name}, runs=folder / "alone" / name)
        columns = ["task", "seed", "fold", "value", "learning_rate", "best_epoch", "protocol_digest"]
        pd.testing.assert_frame_equal(rows[columns], alone[columns])
        files = [folder / name for name in ("clips.parquet", "embeddings.npy", "index.parquet")]
        assert set(rows["inputs"]) == {inputs_digest(files)}
        assert (folder / f"{name}_predictions.parquet").is_file()
    assert set(found[0]["config"]).isdisjoint(found[1]["config"])


def test_finished_tasks_survive_the_loss_of_their_outputs(folder, monkeypatch):
    """Snakemake deletes declared files of a failed job; the runs beside them are taken again."""
    expected = run_all(folder)
    for name in ("folds", "split"):
        (folder / f"{name}.parquet").unlink()
        (folder / f"{name}_predictions.parquet").unlink()
    monkeypatch.setattr(_linear_probe, "train_heads", None)
    for one, other in zip(run_all(folder), expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_fault_of_the_last_task_shows_before_the_first_is_trained(folder):
    clips = pd.read_parquet(folder / "clips.parquet")
    clips.loc[clips["split"] == "valid", "split"] = "train"
    clips.to_parquet(folder / "clips.parquet")
    with pytest.raises(ProtocolError, match="no clip in valid"):
        run_all(folder)
    assert not (folder / "folds").exists()
    with pytest.raises(ProtocolError, match="2 tasks, but 1 files of embeddings"):
        run_all(folder, embeddings=[folder / "embeddings.npy"])


def test_test_clips_may_have_embeddings_of_another_crop(folder):
    other = folder / "other"
    other.mkdir()
    np.save(other / "embeddings.npy", np.zeros((len(IDS), 8), dtype=np.float32))
    pd.DataFrame({"clip_id": IDS}).to_parquet(other / "index.parquet")
    run(folder, embeddings=[folder / "embeddings.npy", other / "embeddings.npy"])
    scores = np.stack(pd.read_parquet(folder / "linear_predictions.parquet")["scores"][:60])
    assert np.ptp(scores, axis=0).max() == 0  # one and the same embedding, hence equal scores


def test_multi_label_rows_hold_map_auc_and_subsets(folder):
    clips = pd.read_parquet(folder / "clips.parquet")
    clips["labels"] = [[LABELS[k % 3], "loud"] if k % 4 == 0 else [LABELS[k % 3]] for k in range(len(IDS))]
    clips.to_parquet(folder / "clips.parquet")
    task = {"dataset": "sounds", "label_type": "multi", "metric": "map", "loss": "binary_cross_entropy"}
    task |= {"further_metrics": ["mauc"], "subsets": {"single_source": ["bark", "bell"], "scene": ["hum"]}}
    rows = run(folder, task=task, vocabulary=[*LABELS, "loud"], seeds=[42])
    assert rows["metric"].tolist() == ["map", "mauc", "map_single_source", "map_scene"]
    predictions = pd.read_parquet(folder / "linear_predictions.parquet")
    targets = np.array([np.isin(range(4), labels) for labels in predictions["targets"]])
    scores = np.stack(predictions["scores"])
    expected = [
        evaluate("map", targets, scores),
        evaluate("mauc", targets, scores),
        evaluate("map", targets[:, :2], scores[:, :2]),
        evaluate("map", targets[:, 2:3], scores[:, 2:3]),
    ]
    assert rows["value"].tolist() == pytest.approx(expected)
    assert rows["chance"].iloc[3] == pytest.approx(100 / 3)
    assert run(folder, task=task, vocabulary=[*LABELS, "loud"], seeds=[42])["value"].tolist() == rows["value"].tolist()


def test_subset_class_that_is_not_there_is_refused_before_training(folder):
    task = {"dataset": "sounds", "label_type": "multi", "metric": "map", "loss": "binary_cross_entropy"}
    with pytest.raises(ProtocolError, match="'barks' is none of the 3 classes; near ones: bark"):
        run(folder, task={**task, "subsets": {"scene": ["barks"]}})
    assert not (folder / "runs").exists()


def test_learning_rate_that_diverges_is_left_out_and_reported(folder, caplog):
    rows = run(folder, protocol={**PROTOCOL, "learning_rates": [1e38, 1e-2]}, seeds=[42])
    assert rows["learning_rate"].tolist() == [1e-2, 1e-2]
    assert rows["diverged_learning_rates"].tolist() == ["1e+38", "1e+38"]
    assert "learning rate 1e+38 diverged in epoch 1" in caplog.text
    with pytest.raises(TrainingError, match=r"seed 42 fold 1: .* at every learning rate \(1e\+38\)"):
        run(folder, protocol={**PROTOCOL, "learning_rates": [1e38]}, seeds=[42])


def test_class_with_one_clip_and_fold_without_a_class_are_named(folder):
    clips = pd.read_parquet(folder / "clips.parquet")
    clips.at[0, "labels"], clips.at[3, "labels"] = ["rare"], ["rare"]  # clip 0 in fold 1, clip 3 in fold 2
    clips.to_parquet(folder / "clips.parquet")
    with pytest.raises(ProtocolError, match=r"sounds, fold 1: .* one clip of 'rare'"):
        run(folder, vocabulary=[*LABELS, "rare"])
    clips.at[3, "labels"] = ["bark"]
    clips.to_parquet(folder / "clips.parquet")
    with pytest.raises(ProtocolError, match=r"sounds, fold 1: .* no clip of 'rare'"):
        run(folder, vocabulary=[*LABELS, "rare"])


def test_embedding_that_is_no_number_is_refused_with_its_clip(folder):
    embeddings = np.load(folder / "embeddings.npy")
    embeddings[17, 2] = np.nan
    np.save(folder / "embeddings.npy", embeddings)
    with pytest.raises(StoreError, match=r"1 clips .*'clip017'"):
        run(folder)


def test_embeddings_cut_short_are_refused(folder):
    path = Path(folder / "embeddings.npy")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="cut short"):
        run(folder)
