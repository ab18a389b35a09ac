"""Metrics of the studies, on scores and targets of all clips of an evaluation set; percent except d'.

scikit-learn and SciPy are imported where they are used: each start of Snakemake reads `METRICS`, to check the
configuration, and would spend most of a second on them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from earmark.errors import ProtocolError


@dataclass(frozen=True)
class Metric:
    """A metric: `function(targets, scores)` gives its value; `direction` is `up` or `down`."""

    name: str
    direction: str
    label_types: tuple[str, ...]
    function: Callable[[np.ndarray, np.ndarray], float]


def evaluate(metric: str, targets: np.ndarray, scores: np.ndarray) -> float:
    """Compute a metric.

    `targets`: int [clips] of classes (single-label) or 0/1 [clips, classes] (multi-label); `scores`: [clips, classes].
    Returns percent, for d' the plain number. Raises ProtocolError for shapes that do not fit or scores that are no
    numbers.
    """
    targets, scores = np.asarray(targets), np.asarray(scores, dtype=np.float64)
    if len(targets) != len(scores) or scores.ndim != 2 or (targets.ndim == 2 and targets.shape != scores.shape):
        raise ProtocolError(f"metric {metric}: targets {targets.shape} do not fit scores {scores.shape}")
    if not np.isfinite(scores).all():
        raise ProtocolError(f"metric {metric}: {np.count_nonzero(~np.isfinite(scores))} scores are no finite numbers")
    return METRICS[metric].function(targets, scores)


def accuracy(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of clips whose highest score is at their class, in percent."""
    from sklearn.metrics import accuracy_score

    return 100.0 * accuracy_score(targets, scores.argmax(axis=1))


def error_rate(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return 100 minus accuracy."""
    return 100.0 - accuracy(targets, scores)


def mean_average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean over classes of average precision, in percent; classes without positives are skipped."""
    precisions = average_precisions(one_hot(targets, scores), scores)
    if np.isnan(precisions).all():
        raise ProtocolError("map: no class of the evaluation set has a positive clip; there is nothing to average")
    return 100.0 * float(np.nanmean(precisions))


def average_precisions(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the average precision of each class, in [0, 1]; NaN for a class without positives.

    `targets`: 0/1 [clips, classes]; `scores`: [clips, classes]. The mean over the positives of the precision among
    the clips that score as high or higher, so clips of equal score count together, as in scikit-learn's
    `average_precision_score`; all classes at once.
    """
    n_clips = len(scores)
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    positive = np.take_along_axis(targets > 0, order, axis=0)
    place = np.arange(n_clips)[:, None]
    is_last = np.ones(scores.shape, dtype=bool)  # of the clips of equal score
    is_last[:-1] = ranked[1:] != ranked[:-1]
    last = np.minimum.accumulate(np.where(is_last, place, n_clips)[::-1], axis=0)[::-1]
    hits = np.take_along_axis(np.cumsum(positive, axis=0), last, axis=0)
    with np.errstate(invalid="ignore"):
        return (positive * hits / (last + 1)).sum(axis=0) / positive.sum(axis=0)


def mean_auc(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean over classes of the area under the ROC curve, in percent; one-sided classes are skipped."""
    from sklearn.metrics import roc_auc_score

    targets = one_hot(targets, scores).astype(bool)
    positives = targets.sum(axis=0)
    defined = np.flatnonzero((positives > 0) & (positives < len(targets)))
    if not len(defined):
        raise ProtocolError("no class of the evaluation set has both positive and negative clips; nothing to average")
    return 100.0 * float(np.mean([roc_auc_score(targets[:, k], scores[:, k]) for k in defined]))


def d_prime(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return d' = sqrt(2) times the normal quantile of the mean AUC (of the mean, not the mean of classes' d')."""
    from scipy.special import ndtri

    return float(np.sqrt(2.0) * ndtri(mean_auc(targets, scores) / 100.0))


def lwlrap(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return label-weighted label-ranking average precision, in percent.

    For each clip and each of its labels: the share of true labels among those ranked at or above it. The value is the
    plain mean over all pairs of clip and label, which equals the class means weighted by their labels. Equal scores
    keep their order. Source: FSDKaggle2019's evaluation.
    """
    targets = one_hot(targets, scores).astype(bool)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(targets, order, axis=1)  # [clips, ranks]
    precision = np.cumsum(ranked, axis=1) / np.arange(1, scores.shape[1] + 1)
    if not ranked.any():
        raise ProtocolError("lwlrap: no clip of the evaluation set has a label")
    return 100.0 * float(precision[ranked].mean())


def map_at_3(targets: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean over clips of 1 / rank of the true class where it is among the first three, in percent."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    return 100.0 * float(((order == targets[:, None]) / np.arange(1, order.shape[1] + 1)).sum(axis=1).mean())


def student_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of runs and the half width of its 95 % interval, t(0.975, n - 1) s / sqrt(n); None for one run.

    The interval speaks of repeated runs on the same clips, not of other clips (`tables.measure.combine_errors` does).
    """
    from scipy.special import stdtrit

    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2:
        return float(found.mean()), None
    half_width = stdtrit(len(found) - 1, 0.975) * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean()), float(half_width)


def class_columns(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Find the columns of some classes among all classes of a head.

    `names`: labels of the data set, or as FSD50K's are printed ("Chink, clink" for `Chink_and_clink`): ", and " and
    ", " become "_and_", a space "_". Returns int64 [names]. Raises ProtocolError that lists the nearest labels.
    """
    number = {label: column for column, label in enumerate(classes)}
    columns = []
    for name in names:
        label = name if name in number else name.replace(", and ", "_and_").replace(", ", "_and_").replace(" ", "_")
        if label not in number:
            near = ", ".join(get_close_matches(label, list(classes))) or "none"
            raise ProtocolError(f"the subset's class {name!r} is none of the {len(classes)} classes; near ones: {near}")
        columns.append(number[label])
    return np.array(columns, dtype=np.int64)


def skipped_classes(targets: np.ndarray, n_classes: int) -> int:
    """Count the classes without a positive clip, which the macro metrics leave out."""
    if targets.ndim == 1:
        return n_classes - len(np.unique(targets))
    return int((~targets.astype(bool).any(axis=0)).sum())


def chance_level(metric: str, train_targets: np.ndarray, test_targets: np.ndarray, n_classes: int) -> float:
    """Return the score of a predictor that knows no audio: every clip gets the class frequencies of the training set.

    For accuracy this is the share of the most frequent training class, for mAP about the mean share of positives.
    """
    frequency = one_hot(train_targets, np.empty((len(train_targets), n_classes))).mean(axis=0)
    return evaluate(metric, test_targets, np.tile(frequency, (len(test_targets), 1)))


def one_hot(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Turn class numbers into 0/1 [clips, classes]; such targets pass through."""
    if targets.ndim == 2:
        return targets
    return np.eye(scores.shape[1], dtype=np.int8)[targets]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "up", ("single",), accuracy),
        Metric("error_rate", "down", ("single",), error_rate),
        Metric("map", "up", ("single", "multi"), mean_average_precision),
        Metric("mauc", "up", ("single", "multi"), mean_auc),
        Metric("dprime", "up", ("single", "multi"), d_prime),
        Metric("lwlrap", "up", ("single", "multi"), lwlrap),
        Metric("mapat3", "up", ("single",), map_at_3),
    )
}
