"""What a study's tables describe: sizes and shapes of encoders at the paper's definition, and classes of subsets.

Encoders are built on torch's meta device, which holds shapes and no values, so that the largest cost no memory.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from earmark.encoders import load_encoder
from earmark.errors import ConfigError
from earmark.files import atomic_path
from earmark.metrics import class_columns
from earmark.tables.roles import KEY, cell_key, cell_role

BATCH, MELS, FRAMES = 2, 64, 96  # the input of Niizumi et al. 2023, Table I, for a batch of two
POOLINGS = {2.0: "mean", 3.0: "max", 5.0: "mean+max"}  # by what they make of the frames 1 and 3
COLUMNS = ("table", *KEY, "value", "source", "reason")


def describe_study(
    *,
    tables: Mapping[str, Mapping[str, Any]],
    representations: Mapping[str, Mapping[str, Any]],
    subsets: Mapping[str, Mapping[str, Any]],
    descriptions: Path,
) -> None:
    """Compute each cell of a study's tables whose column has `describe`, and write one line a cell.

    `tables`: {table: measured, same, by, lines, heads}; `representations`: {slug: {encoder, options}}, or {reason} for
    one that is not built; `subsets`: {task: {subsets: {name: classes}, labels: those of the data set}}. Columns: table,
    the key of the cell, value, source, reason. The value is empty where there is none, such as the kernel of a ReLU,
    and where it was not computed; then `reason` says why.
    Raises ConfigError for an unknown word under `describe`, or a subset that has not as many classes as its cells.
    """
    built = {name: Built(**entry) for name, entry in representations.items() if "reason" not in entry}
    rows = []
    for table, spec in tables.items():
        for line in spec["lines"]:
            for head in (head for head in spec["heads"] if "describe" in head):
                key = dict(zip(KEY, cell_key(spec, line, head), strict=True))
                name = cell_role(spec, key, "representation")
                if head["describe"] == "class_label":
                    task = cell_role(spec, key, "task")
                    found = {"value": class_label(spec, line, head, **subsets[task]), "source": f"subsets of {task}"}
                elif name in built:
                    found = {
                        "value": _describe(head["describe"], built[name], spec, line),
                        "source": built[name].source,
                    }
                else:
                    found = {"reason": representations.get(name, {}).get("reason", f"{name} is no representation here")}
                rows.append({"table": table, **key, **found})
    with atomic_path(descriptions) as temporary:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(temporary, index=False)


class Built:
    """An encoder at the paper's definition, and the shapes that pass through it.

    `encoder`: slug; `options`: of its class. Shapes are those of a batch of two inputs of 64 mel bands and 96 frames.
    """

    def __init__(self, encoder: str, options: Mapping[str, Any]):
        listed = ", ".join(f"{key} {value}" for key, value in options.items())
        self.source = f"{encoder} with {listed}" if listed else encoder
        with torch.device("meta"):
            self.encoder = load_encoder(encoder, **options).eval()

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the output shape of each module by its name, in the order of the pass.

        Further names: `input`, `reshaping` (what the first layer on frames takes, or the frames where there is none),
        `concat` (the frames), `pooling` (the embeddings).
        """
        found: dict[str, tuple[int, ...]] = {"input": (BATCH, 1, MELS, FRAMES)}

        def keep(name: str) -> Callable:
            def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
                if isinstance(module, nn.Linear):
                    found.setdefault("reshaping", tuple(inputs[0].shape))
                found[name] = tuple(output.shape)

            return hook

        hooks = [module.register_forward_hook(keep(name)) for name, module in self.encoder.named_modules() if name]
        with torch.no_grad():
            frames = self.encoder.forward_frames(torch.zeros(BATCH, MELS, FRAMES, device="meta"))
            embedding = self.encoder.decision_frames(frames).mean(dim=1)
        for handle in hooks:
            handle.remove()
        found.setdefault("reshaping", tuple(frames.shape))
        return found | {"concat": tuple(frames.shape), "pooling": tuple(embedding.shape)}

    @property
    def image(self) -> tuple[int, ...]:
        """Return the shape [batch, channels, mels', frames'] of the last feature map."""
        return [shape for name, shape in self.shapes.items() if len(shape) == 4 and name != "input"][-1]

    @property
    def layers(self) -> list[nn.Linear]:
        """List the fully connected layers."""
        return [module for module in self.encoder.modules() if isinstance(module, nn.Linear)]


def params_m(built: Built) -> float:
    """Count all parameters, in millions."""
    return sum(parameter.numel() for parameter in built.encoder.parameters()) / 1e6


def dim(built: Built) -> int:
    """Return the dimensions of an embedding of a clip."""
    return built.encoder.scene_embedding_size


def sample_rate_hz(built: Built) -> int:
    """Return the sampling rate that the encoder takes."""
    return built.encoder.sample_rate


def resolution_f(built: Built) -> int:
    """Return the mel bands of the last feature map."""
    return built.image[2]


def resolution_t(built: Built) -> int:
    """Return the frames of the last feature map."""
    return built.image[3]


def local_axes(built: Built) -> str:
    """Say which axes of the feature map a frame keeps: [T, CF], [T, C] or [T, F]."""
    _, channels, bands, _ = built.image
    kept = {channels * bands: "CF", channels: "C", bands: "F"}
    return f"[T, {kept[built.shapes['reshaping'][-1]]}]"


def has_mlp(built: Built) -> str:
    """Say whether fully connected layers follow the feature map."""
    return "yes" if built.layers else "no"


def has_concat(built: Built) -> str:
    """Say whether the output of the layers is joined to what they take."""
    if not built.layers:
        return "no"
    return "yes" if dim(built) == built.shapes["reshaping"][-1] + built.layers[-1].out_features else "no"


def pooling(built: Built) -> str:
    """Name the pooling over time, by what it makes of the frames 1 and 3."""
    return POOLINGS[float(built.encoder.decision_frames(torch.tensor([[[1.0], [3.0]]])))]


def operation(built: Built, module: str) -> str:
    """Name a layer by its class, or say what a step between layers does."""
    shapes = built.shapes
    if module == "input":
        return ""
    if module == "reshaping":
        return f"{_spell(built.image)} to {_spell(shapes['reshaping'])}"
    if module == "concat":
        return " + ".join(str(count) for count in (shapes["reshaping"][-1], built.layers[-1].out_features))
    return pooling(built) if module == "pooling" else type(built.encoder.get_submodule(module)).__name__


def kernel(layer: nn.Module) -> str:
    """Return the size of the kernel."""
    size = getattr(layer, "kernel_size", "")
    return "x".join(map(str, (size, size) if isinstance(size, int) else size))


def channels_or_units(layer: nn.Module) -> int | str:
    """Return the channels or units that the layer gives."""
    names = {nn.Conv2d: "out_channels", nn.BatchNorm2d: "num_features", nn.Linear: "out_features"}
    return getattr(layer, names[type(layer)]) if type(layer) in names else ""


def stride(layer: nn.Module) -> int | str:
    """Return the stride, which is the same along both axes."""
    found = getattr(layer, "stride", "")
    return found[0] if isinstance(found, Sequence) and found else found


def dropout_p(layer: nn.Module) -> float | str:
    """Return the share of units that dropout leaves out in training."""
    return layer.p if isinstance(layer, nn.Dropout) else ""


def class_label(
    spec: Mapping[str, Any],
    line: Mapping,
    head: Mapping,
    subsets: Mapping[str, Sequence[str]],
    labels: Sequence[str],
) -> str:
    """Return the label at the place of a cell, line by line, among those of the subset that the line's group names.

    Labels are in the order of their printed names. Raises ConfigError for a subset that does not fill its cells.
    """
    group = [other for other in spec["lines"] if other["row_group"] == line["row_group"]]
    members = [labels[column] for column in class_columns(subsets[line["row_group"]], labels)]
    if len(set(members)) != len(group) * len(spec["heads"]):
        raise ConfigError(
            f"the subset {line['row_group']} has {len(set(members))} classes, wanted {len(group) * len(spec['heads'])},"
            " one for each cell of its table. Correct `subsets` in study.yaml or the lines in tables.yaml."
        )
    ordered = sorted(members, key=lambda label: label.replace("_and_", ", ").replace("_", " "))
    return ordered[group.index(line) * len(spec["heads"]) + spec["heads"].index(head)]


FACTS = {
    function.__name__: function
    for function in (
        params_m, dim, sample_rate_hz, resolution_f, resolution_t, local_axes, has_mlp, has_concat, pooling,
    )
}  # fmt: skip
LAYER_FACTS = {function.__name__: function for function in (kernel, channels_or_units, stride, dropout_p)}


def _describe(word: str, built: Built, spec: Mapping[str, Any], line: Mapping[str, Any]) -> Any:
    if word in FACTS:
        return FACTS[word](built)
    if word == "operation":
        return operation(built, line["module"])
    if word == "block_output_size":
        last = [other["module"] for other in spec["lines"] if other["row_group"] == line["row_group"]][-1]
        return _spell(built.shapes[last])
    if word in LAYER_FACTS:
        known = dict(built.encoder.named_modules())
        return LAYER_FACTS[word](known[line["module"]]) if line["module"] in known else ""
    known = [*FACTS, *LAYER_FACTS, "operation", "block_output_size", "class_label"]
    raise ConfigError(f"tables.yaml: describe: unknown word {word!r}. Known: {', '.join(known)}.")


def _spell(shape: Sequence[int]) -> str:
    """Write a shape with B for the batch."""
    return f"[{', '.join(['B', *map(str, shape[1:])])}]"
