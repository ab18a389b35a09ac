"""Curves of a training for TensorBoard, where it is installed."""

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path


class Events:
    """Write the rows of a training's history as TensorBoard event files; do nothing where it is not installed.

    `folder`: of the files, None for none; `step`: where the training begins, as events after it are of a run that was
    cut off. A training that begins anew removes what an earlier one left there.
    """

    def __init__(self, folder: Path | None, step: int):
        self._writer, self._before = None, (step, None)
        if folder is None or find_spec("tensorboard") is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        if step == 0:
            shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, row: Mapping[str, float]) -> None:
        """Write one row of the history: each value under its name, and the rate in steps a second since the last."""
        if self._writer is None:
            return
        step, seconds = self._before
        values = {key: value for key, value in row.items() if key not in ("step", "seconds")}
        if seconds is not None and row["seconds"] > seconds:
            values["steps_per_second"] = (row["step"] - step) / (row["seconds"] - seconds)
        for key, value in values.items():
            self._writer.add_scalar(key, value, row["step"])
        self._writer.flush()
        self._before = (row["step"], row["seconds"])

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
