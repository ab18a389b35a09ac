"""Sizes, shapes and classes that the tables of the study `byola` describe, against what the paper prints."""

import pytest
import torch
import yaml
from byola_results import NOT_INSTALLED, ROOT, byola_study
from byola_results import byola_tables as declared_tables

from earmark.descriptions import Built, describe_study
from earmark.errors import ConfigError
from earmark.metrics import class_columns
from earmark.tables import read_cells

# Parameters and dimensions of protocols/byola.md, section 2.1, counted there apart from this package.
SIZES = {
    ("table8", "byol_a"): (6_333_376, 3072),
    ("table7", "byol_a_conv1"): (8_393_472, 4096),
    ("table7", "byol_a_conv3"): (5_321_856, 2560),
    ("table7", "resnet18_regp_nrf"): (11_170_240, 4096),
    ("table7", "resnet50_regp_nrf"): (23_501_760, 16384),
    ("table8", "freq_mean_pooling"): (4_367_296, 2112),
    ("table8", "channel_mean_pooling"): (4_268_992, 2064),
    ("table8", "global_feature_only"): (6_333_376, 2048),
    ("table8", "local_feature_only"): (37_824, 1024),
    ("table8", "temporal_mean_pooling"): (6_333_376, 3072),
    ("table8", "temporal_max_pooling"): (6_333_376, 3072),
    ("table10", "mlp_8192"): (75_551_680, None),
    ("table10", "mlp_4096"): (21_017_536, None),
    ("table10", "mlp_1024"): (2_137_024, None),
    ("table10", "mlp_512"): (825_280, None),
}


def cells_of(folders, table):
    return read_cells(folders[table] / f"{table}.csv").set_index(["row", "column"])


@pytest.mark.parametrize(("table", "row"), SIZES)
def test_sizes_are_exact_whatever_the_scale(byola_tables, table, row):
    parameters, dimensions = SIZES[table, row]
    cells = cells_of(byola_tables, table)
    assert round(1e6 * cells.loc[(row, "params_m"), "measured"]) == parameters
    if dimensions:
        assert cells.loc[(row, "output_dim" if table == "table8" else "dim"), "measured"] == dimensions


def test_table_1_shows_the_printed_sizes_of_the_real_modules(byola_tables):
    cells = read_cells(byola_tables["table1"] / "table1.csv")
    printed = cells[cells["published"].ne("") & cells["column"].ne("operation")]
    assert (printed["status"] == "measured").all()
    numbers = printed["difference"].notna()
    assert (printed.loc[numbers, "difference"] == 0).all()
    assert (printed.loc[~numbers, "measured"] == printed.loc[~numbers, "published"]).all()
    kinds = cells[cells["column"] == "operation"].set_index("row")["measured"]
    assert kinds["conv1_1"] == "Conv2d" and kinds["mlp_4"] == "Linear" and kinds["concat_1"] == "1024 + 2048"


def test_table_8_differs_from_the_paper_only_where_the_paper_slips(byola_tables):
    cells = cells_of(byola_tables, "table8")
    words = cells[cells.index.get_level_values("column").isin(["reshaping_output", "mlp_block", "concat_block"])]
    different = words.index[words["measured"] != words["published"]]
    assert list(different) == [("local_feature_only", "concat_block")]
    assert list(cells.xs("temporal_pooling", level="column")["measured"]) == ["mean+max"] * 5 + ["mean", "max"]


def test_table_7_resolutions(byola_tables):
    cells = cells_of(byola_tables, "table7")
    for axis in ("resolution_f", "resolution_t"):
        column = cells.xs(axis, level="column")
        assert (column["difference"] == 0).all()


def test_table_16_places_each_label_at_its_printed_name(byola_tables):
    labels = yaml.safe_load((ROOT / "config/datasets/fsd50k.yaml").read_text())["labels"]
    cells = read_cells(byola_tables["table16"] / "table16.csv")
    assert len(cells) == 93 and cells["measured"].nunique() == 93
    for cell in cells.to_dict("records"):
        assert cell["measured"] == labels[class_columns([cell["published"]], labels)[0]]


def test_what_runs_elsewhere_is_a_dash_with_its_reason(byola_tables):
    cells = cells_of(byola_tables, "table3")
    for column in ("params_m", "input_fs_hz", "output_dim"):
        assert (cells.loc[("trill", column), "status"], cells.loc[("trill", column), "note"]) == (
            "not_run",
            NOT_INSTALLED,
        )
    assert cells.loc[("trill", "pretraining_dataset"), "status"] == "quoted"
    assert cells.loc[("byol_a", "output_dim"), "measured"] == 3072


def test_shapes_of_the_meta_device_are_those_of_a_real_pass():
    from earmark.encoders import load_encoder

    options = {"n_blocks": 1, "mlp_dim": 16}
    shapes = Built("byola", options).shapes
    encoder = load_encoder("byola", **options).eval()
    frames = encoder.forward_frames(torch.zeros(2, 64, 96))
    assert shapes["concat"] == tuple(frames.shape)
    assert shapes["pooling"] == tuple(encoder.decision_frames(frames).mean(1).shape)
    assert shapes["features.3"] == tuple(encoder.features(torch.zeros(2, 1, 64, 96)).shape)


def test_a_subset_of_another_size_is_refused(tmp_path):
    labels = byola_study()["tasks"]["fsd50k"]["subsets"]
    short = {**labels, "scene": labels["scene"][:-1]}
    vocabulary = yaml.safe_load((ROOT / "config/datasets/fsd50k.yaml").read_text())["labels"]
    with pytest.raises(ConfigError, match="subset scene has 5 classes, wanted 6"):
        describe_study(
            tables={"table16": declared_tables()["table16"]},
            representations={},
            subsets={"fsd50k": {"subsets": short, "labels": vocabulary}},
            descriptions=tmp_path / "d.csv",
        )


def test_an_unknown_word_is_refused(tmp_path):
    spec = declared_tables()["table8"]
    spec["heads"] = [{"column": "dim", "name": "Dim", "describe": "dims"}]
    with pytest.raises(ConfigError, match=r"unknown word 'dims'.*dim, sample_rate_hz"):
        describe_study(
            tables={"table8": spec},
            representations={"byola_fsd50k": {"encoder": "byola", "options": {"mlp_dim": 8}}},
            subsets={},
            descriptions=tmp_path / "d.csv",
        )
