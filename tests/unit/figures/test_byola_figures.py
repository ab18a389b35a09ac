"""Figures of the study `byola`: what they read from the real modules, correlations, costs, places of labels."""

import itertools

import numpy as np
import pytest
import torch
from byola_figure_results import (
    STUDY,
    definition,
    study,
    write_cards,
    write_histories,
    write_store,
    write_table,
)
from matplotlib.image import imread
from matplotlib.text import Annotation
from torch.nn.functional import interpolate, pad

from earmark.errors import ConfigError, StoreError
from earmark.figures import Inputs, make_figure
from earmark.figures.correlation import correlate, measured_scores, published_scores
from earmark.figures.cost import collect_points, first_number, read_costs
from earmark.figures.cost import draw as draw_cost
from earmark.figures.crop import crop_geometry
from earmark.figures.crop import draw as draw_crop
from earmark.figures.definition import (
    build_augmentation,
    build_byol,
    describe_features,
    example_log_mels,
    normed_views,
    record_steps,
    segment_shape,
    step_names,
    trace_encoder,
)
from earmark.figures.learning import draw_groups
from earmark.figures.scenario import draw as draw_scenario
from earmark.figures.systems import draw as draw_systems
from earmark.figures.views import choose_segments
from earmark.figures.views import draw as draw_views
from earmark.store import ClipStore
from earmark.tables import read_cells
from earmark.tables.cells import read_published

FIGURES = study()["figures"]
LABEL = "mini scale: generated sound, not a reproduction"
PUBLISHED = [STUDY / "published" / "table4.csv", STUDY / "published" / "table3.csv"]
DPI = 160
LEFT_OUT = FIGURES["figure6"]["leave_out"]


def words_of(figure) -> str:
    """Join all words on a figure."""
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    """Return the files that the figures may read."""
    folder = tmp_path_factory.mktemp("byola")
    return {
        "tables": [write_table(folder)],
        "cards": write_cards(folder / "embeddings"),
        "histories": write_histories(folder / "encoders"),
        "store": write_store(folder / "fsd50k"),
    }


@pytest.fixture(scope="module")
def names() -> dict:
    """Return the printed names of the representations, an own one among them."""
    return study()["representations"] | {"crepe": {"name": "CREPE"}}


@pytest.fixture(scope="module")
def draw(results, names, tmp_path_factory):
    """Return a function that draws one figure of the study and returns its folder."""

    def make(figure: str, label: str | None = None):
        folder, spec = tmp_path_factory.mktemp(figure), FIGURES[figure]
        make_figure(
            spec=spec,
            published=[STUDY / name for name in spec.get("published", [])],
            definition=definition(),
            tasks=study()["tasks"],
            representations=names,
            label=label,
            pdf=folder / f"{figure}.pdf",
            png=folder / f"{figure}.png",
            **results,
        )
        return folder

    return make


@pytest.mark.parametrize("figure", FIGURES)
def test_files_are_the_same_each_time_and_leave_room_for_the_label(draw, figure):
    first, second = draw(figure), draw(figure)
    for form in ("pdf", "png"):
        assert (first / f"{figure}.{form}").read_bytes() == (second / f"{figure}.{form}").read_bytes()
    image = imread(first / f"{figure}.png")[..., :3]
    assert image.shape[1] >= 1000
    line = round((0.005 * len(image) / DPI + 9 / 72) * DPI)  # pixels from the top to the foot of the label's line
    assert line < 0.06 * len(image) and (image[:line] == 1).all()


def test_the_label_of_the_scale_is_drawn_above(draw):
    with_label, without = (imread(draw("figure5", label) / "figure5.png") for label in (LABEL, None))
    changed = (with_label != without).any(axis=(1, 2)).nonzero()[0]
    assert len(changed) > 0 and changed.max() < 0.06 * len(without)


def test_figures_name_what_the_study_declares():
    declared = study()
    for spec in FIGURES.values():
        groups = itertools.chain.from_iterable(spec.get("groups", {}).values())
        for name in [*groups, *filter(None, [spec.get("representation")])]:
            assert declared["representations"][name]["weights"] == "byol"
        assert spec.get("table", "table4") in declared["tables"]
        for name in spec.get("published", []):
            assert (STUDY / name).is_file()
    drawn = set(itertools.chain.from_iterable(FIGURES["pretraining"]["groups"].values()))
    assert drawn == {name for name, entry in declared["representations"].items() if entry["weights"] == "byol"}


def test_shapes_are_those_of_table_1_of_the_paper():
    assert segment_shape(definition()) == (64, 96)
    model = build_byol(definition())
    shapes = trace_encoder(model.encoder, (64, 96))
    assert shapes == {
        "input": (64, 96),
        "image": (64, 16, 24),
        "local": (24, 1024),
        "global": (24, 2048),
        "frames": (24, 3072),
        "embedding": (3072,),
    }
    n_blocks, layers = describe_features(model.encoder.features)
    assert (n_blocks, layers) == (2, ["Conv 3×3, 64", "BatchNorm", "ReLU", "MaxPool 2×2"])


def test_diagrams_follow_the_modules():
    words = words_of(draw_scenario({"seed": 0}, Inputs(definition=definition())))
    for text in ("6,333,376", "[24, 1,024]", "[24, 2,048]", "[24, 3,072]", "[3,072]", "mean + max", "FC 2,048"):
        assert text in words
    other = definition() | {"encoder_options": {"mlp_dim": 512, "pool": "max"}}
    words = words_of(draw_scenario({"seed": 0}, Inputs(definition=other)))
    assert "[24, 1,536]" in words and "FC 512" in words and "mean + max" not in words
    words = words_of(draw_systems({}, Inputs(definition=definition())))
    for text in ("13,644,032", "2,109,696", "[4,096, 256]", "τ = 0.99", "0.95 s", "Mixup", "Post-Norm"):
        assert text in words


def test_steps_are_those_of_the_augmentation():
    log_mels = example_log_mels(definition())
    views = normed_views(definition(), log_mels[:1], log_mels[1:])
    steps = record_steps(views, log_mels[:1], seed=7)
    assert list(steps) == list(step_names(views)) == ["pre_norm", "mixup", "resize_crop", "fader", "post_norm"]
    everything = log_mels.double()
    wanted = (log_mels[:1] - everything.mean()) / everything.std(correction=0)
    torch.testing.assert_close(steps["pre_norm"][0], wanted.float(), atol=1e-5, rtol=1e-5)
    both = torch.stack(steps["post_norm"])
    assert float(both.mean()) == pytest.approx(0, abs=1e-5) and float(both.std()) == pytest.approx(1, abs=1e-4)
    ramp = (steps["fader"][1] - steps["resize_crop"][1])[0]
    assert (ramp - ramp[0]).abs().max() < 1e-5
    assert not torch.equal(steps["mixup"][0], steps["pre_norm"][0])
    again = record_steps(normed_views(definition(), log_mels[:1], log_mels[1:]), log_mels[:1], seed=7)
    assert all(torch.equal(a, b) for name in steps for a, b in zip(steps[name], again[name], strict=True))


def test_crops_are_drawn_where_the_block_crops():
    block = build_augmentation(definition()).blocks["resize_crop"]
    inputs = torch.randn(20, 64, 96, generator=torch.Generator().manual_seed(0))
    canvas, crops = crop_geometry(block, (64, 96), 20, seed=11)
    assert canvas == 144
    padded = pad(inputs, (24, 24))
    for item, (height, width, top, left) in enumerate(crops):
        cut = padded[item, top : top + height, left : left + width]
        wanted = interpolate(cut[None, None], (64, 96), mode="bicubic", align_corners=True)[0, 0]
        torch.testing.assert_close(block(inputs, inputs, 11)[item], wanted, atol=1e-4, rtol=0)


def test_crop_shows_sizes_and_needs_its_block():
    words = words_of(draw_crop(FIGURES["figure5"], Inputs(definition=definition())))
    for text in ("144 frames", "96 frames", "64 bands", "38 to 64 bands", "57 to 144 frames"):
        assert text in words
    without = definition() | {"protocol": definition()["protocol"] | {"blocks": ["mixup"]}}
    with pytest.raises(ConfigError, match="resize_crop"):
        draw_crop({"seed": 0}, Inputs(definition=without))


def test_the_clip_is_the_first_that_is_long_and_loud_enough(tmp_path):
    store = ClipStore.from_files(*write_store(tmp_path))
    clip_id, segments = choose_segments(store, 15_200)
    assert clip_id == "2" and segments.shape == (4, 15_200)
    np.testing.assert_array_equal(segments[0], store.waveform(2)[:15_200])
    np.testing.assert_array_equal(segments[1], store.waveform(3)[:15_200])  # the next ones, then those before
    np.testing.assert_array_equal(segments[2][:4_000], store.waveform(0))
    assert not segments[2][4_000:].any()


def test_a_store_without_such_a_clip_is_refused(tmp_path):
    with pytest.raises(StoreError, match="none of 2 training clips"):
        choose_segments(ClipStore.from_files(*write_store(tmp_path, (4_000, 20_000), (1.0, 0.0))), 15_200)


def test_views_without_a_store_say_so():
    assert "not at hand" in draw_views({"seed": 0}, Inputs(definition=definition())).texts[0].get_text()


def test_published_correlations_are_those_of_the_reference(vectors):
    vector = vectors["fig6_pearson_from_table4"]
    found = correlate(published_scores(read_published(PUBLISHED[0]), LEFT_OUT))
    rows = "vggish_4k panns_cnn14 esresnext ast coala openl3_music trill wav2vec2_features byol_a"
    assert " ".join(found.index) == rows
    np.testing.assert_allclose(found, vector["expected"], atol=1e-3)


def test_measured_correlations_have_own_encoders_and_gaps(results):
    scores = measured_scores(read_cells(results["tables"][0]), LEFT_OUT)
    found = correlate(scores)
    assert list(found.index)[-2:] == ["byol_a", "crepe"] and scores.shape == (10, 9)
    assert found.loc["coala"].isna().all() and found["coala"].isna().all()
    measured = [name for name in found.index if name not in ("coala", "esresnext", "openl3_music", "trill")]
    wanted = np.corrcoef(scores.loc[measured])
    np.testing.assert_allclose(found.loc[measured, measured], wanted, atol=1e-12)


def test_few_tasks_or_equal_scores_give_no_correlation(results):
    scores = measured_scores(read_cells(results["tables"][0]), LEFT_OUT)
    few = scores.copy()
    few.loc["ast", few.columns[2:]] = None
    assert correlate(few).loc["ast"].isna().all()
    scores.loc["ast"] = 50.0
    assert correlate(scores).loc["ast", "byol_a"] != correlate(scores).loc["ast", "byol_a"]


def test_costs_are_those_of_the_cards(results, names):
    costs = read_costs(results["cards"])
    assert costs["byola_audioset"] == {"parameters": 6.3, "seconds": 30.0}
    inputs = Inputs(
        **{key: results[key] for key in ("tables", "cards")},
        published=PUBLISHED,
        representations={slug: entry["name"] for slug, entry in names.items()},
    )
    points = collect_points(inputs)
    assert points.loc["byol_a", ["published", "measured", "published_parameters"]].tolist() == [72.4, 36.2, 6.3]
    assert points.loc["trill", "published_parameters"] == 9.0 and np.isnan(points.loc["trill", "seconds"])
    assert points.loc["crepe", "name"] == "CREPE" and np.isnan(points.loc["crepe", "published"])
    assert len(points) == 13
    figure = draw_cost(FIGURES["cost"], inputs)
    assert [len(axes.lines) for axes in figure.axes[:3]] == [12, 6, 6]
    assert "TRILL" in words_of(figure).partition("Not drawn")[2]


def test_labels_cover_neither_each_other_nor_a_mark(results, names):
    inputs = Inputs(tables=results["tables"], cards=results["cards"], published=PUBLISHED)
    figure = draw_cost(FIGURES["cost"], inputs)
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes[:3]:
        frame = axes.get_window_extent(renderer)
        labels = [text for text in axes.texts if isinstance(text, Annotation)]
        boxes = [super(Annotation, text).get_window_extent(renderer) for text in labels]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.padded(-0.5).overlaps(other)
        for box in boxes:
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            assert not any(box.contains(*axes.transData.transform(text.xy)) for text in labels)


def test_costs_without_any_result_show_the_published_numbers(tmp_path):
    path = write_table(tmp_path, own=False)
    cells = read_cells(path)
    cells.assign(measured=None, status=cells["status"].replace("measured", "not_run")).to_csv(path, index=False)
    figure = draw_cost(FIGURES["cost"], Inputs(tables=[path], published=PUBLISHED))
    assert [len(axes.lines) for axes in figure.axes[:3]] == [12, 0, 0]
    assert words_of(figure).count("nothing measured") == 2


@pytest.mark.parametrize(("text", "number"), [("9.0/1.6", 9.0), ("72.1", 72.1), ("", None), ("N/A", None)])
def test_first_number(text, number):
    assert first_number(text) == number


def test_groups_have_a_panel_each_and_skip_what_was_not_made(results):
    spec = FIGURES["pretraining"]
    figure = draw_groups(results["histories"], spec, {})
    panels = dict(zip(spec["groups"], figure.axes, strict=False))
    assert [axes.get_title() for axes in panels.values()] == list(spec["groups"])
    batches = panels["Batch size (Table 13)"]
    assert len(batches.lines) == 4 and batches.lines[0].get_color() == "black"
    assert "no pre-training" in words_of(draw_groups([], spec, {}))
