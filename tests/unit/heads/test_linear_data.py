"""Standardisation, validation draws and reading for linear heads."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from earmark.errors import ProtocolError, StoreError
from earmark.heads._linear_data import (
    ALIGNMENT,
    Standardiser,
    check_finite,
    check_fold_classes,
    draw_validation,
    read_embeddings,
)
from earmark.heads.linear import further_scores
from earmark.tasks import Split, TaskData

CLASSES = ("bark", "bell", "hum")


def standardised(train, test):
    points = np.array([*train, *test], dtype=np.float32)
    return Standardiser.fit(points, np.arange(len(train))).apply(points, np.arange(len(points))).numpy()


def test_standardise_vector(vectors):
    vector = vectors["standardise"]
    found = standardised(vector["input"]["train"], vector["input"]["test"])
    np.testing.assert_allclose(found[2:, :2], vector["expected"], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_equals_scikit_learn_on_ordinary_embeddings(dtype):
    generator = np.random.default_rng(0)
    points = generator.normal(3, [1e-3, 1, 50], (2500, 3)).astype(dtype)
    points[:, 1] = points[0, 1]  # constant
    train = generator.permutation(2500)[:2000]
    expected = StandardScaler().fit(points[train].astype(np.float64)).transform(points.astype(np.float64))
    found = Standardiser.fit(points, train).apply(points, np.arange(2500)).numpy()
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-5)
    assert found.shape[1] % ALIGNMENT == 0
    assert (found[:, 3] == 1).all()
    assert not found[:, 4:].any()


def test_nearly_dead_dimension_does_not_blow_up():
    train = np.random.default_rng(0).normal(0, 1, (1000, 2))
    train[:, 1] *= 1e-6
    found = standardised(train, [[3.0, 0.5], [-3.0, -0.5]])
    assert np.abs(found[1000:, 1]).max() == pytest.approx(10)  # half a million deviations of the training clips
    assert np.abs(found[1000:, 0]).max() == pytest.approx(3, rel=0.1)
    rare = np.zeros((1000, 1))
    rare[7] = 1e-3  # one clip, 31 deviations from the mean
    found = standardised(rare, [[1.0]])[:, 0]
    assert found[7] == pytest.approx(np.sqrt(999), rel=1e-6)  # training clips keep their value
    assert found[1000] == pytest.approx(found[7])


def test_clip_with_nan_is_named():
    points = np.ones((4, 3), dtype=np.float32)
    points[2, 1], points[3, 0] = np.nan, np.inf
    check_finite(points, np.array([0, 1]), "wxyz")
    with pytest.raises(StoreError, match=r"2 clips .*: 'y', 'z'\."):
        check_finite(points, np.arange(4), "wxyz")


def test_validation_is_a_tenth_with_every_class_and_another_one_per_seed():
    targets = np.repeat([0, 1, 2], [40, 30, 20])
    draws = [draw_validation(targets, CLASSES, 0.1, np.random.default_rng(seed), "t") for seed in (0, 0, 1)]
    for train, valid in draws:
        assert len(valid) == 9
        assert sorted([*train, *valid]) == list(range(90))
        assert set(targets[valid]) == set(targets[train]) == {0, 1, 2}
    assert np.array_equal(draws[0][1], draws[1][1])
    assert not np.array_equal(draws[0][1], draws[2][1])


def test_validation_is_drawn_until_every_class_is_there():
    targets = np.repeat([0, 1, 2], [80, 10, 2])  # a draw of ten holds the last class with probability 0.2
    for seed in range(20):
        train, valid = draw_validation(targets, CLASSES, 0.1, np.random.default_rng(seed), "t")
        assert set(targets[valid]) == set(targets[train]) == {0, 1, 2}


def test_multi_label_validation_has_every_class():
    targets = np.eye(3, dtype=np.float32)[np.repeat([0, 1, 2], 4)]
    train, valid = draw_validation(targets, CLASSES, 0.4, np.random.default_rng(0), "t")
    assert targets[valid].any(axis=0).all()
    assert targets[train].any(axis=0).all()


def test_class_with_one_clip_is_named():
    with pytest.raises(ProtocolError, match=r"fold 2: .*one clip of 'bell'"):
        draw_validation(np.array([0, 0, 1, 2, 2]), CLASSES, 0.5, np.random.default_rng(0), "task x, fold 2")


def test_class_that_no_draw_holds_is_named():
    targets = np.repeat([0, 1, 2], 5)
    with pytest.raises(ProtocolError, match=r"none of 100 draws of 2 validation clips .*lacks '(bark|bell|hum)'"):
        draw_validation(targets, CLASSES, 0.1, np.random.default_rng(0), "task x, fold 2")


def test_fold_whose_class_the_others_lack_is_refused():
    check_fold_classes(np.array([0, 1, 2]), np.array([0]), CLASSES, "task x, fold 1")
    with pytest.raises(ProtocolError, match=r"fold 1: .*'hum'"):
        check_fold_classes(np.array([0, 1]), np.array([1, 2]), CLASSES, "task x, fold 1")


@pytest.fixture
def array(tmp_path):
    rows = np.arange(12, dtype=np.float16).reshape(4, 3)
    np.save(tmp_path / "embeddings.npy", rows)
    pd.DataFrame({"clip_id": list("abcd")}).to_parquet(tmp_path / "index.parquet")
    return tmp_path / "embeddings.npy"


def test_rows_come_in_the_order_of_the_clips(array):
    assert read_embeddings(array, list("dab"))[:, 0].tolist() == [9, 0, 3]
    assert isinstance(read_embeddings(array, list("abcd")), np.memmap)


def test_array_cut_short_is_refused(array):
    content = array.read_bytes()
    for length in (len(content) - 5, 40, 0):
        array.write_bytes(content[:length])
        with pytest.raises(StoreError, match="cut short"):
            read_embeddings(array, list("abcd"))


def test_array_that_does_not_fit_its_index_or_the_clips_is_refused(array):
    with pytest.raises(StoreError, match="lacks 1 of 3 clips, 'e' among them"):
        read_embeddings(array, list("abe"))
    np.save(array, np.zeros((3, 3), dtype=np.float32))
    with pytest.raises(StoreError, match=r"float32 \(3, 3\), its index 4 lines"):
        read_embeddings(array, list("abc"))


def test_a_subset_without_a_positive_test_clip_has_no_value_and_stops_nothing():
    targets = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    split = Split(0, np.array([0, 1]), np.array([0]), np.array([2, 3]))
    data = TaskData(("a", "b", "c"), "multi", targets, (split,))
    scores = pd.DataFrame({"seed": [42], "fold": [0], "metric": ["map"], "value": [1.0]})
    predictions = pd.DataFrame({"seed": 42, "fold": 0, "scores": [[0.9, 0.5, 0.1], [0.2, 0.4, 0.8]]})
    subsets = {"map_kept": np.array([0, 2]), "map_absent": np.array([1])}
    found = further_scores(scores, predictions, data, {}, subsets).set_index("metric")
    assert found.loc["map_kept", "value"] == 100.0
    assert np.isnan(found.loc["map_absent", "value"]) and found.loc["map_absent", "n_classes_skipped"] == 1
