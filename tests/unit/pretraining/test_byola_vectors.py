"""Every reference vector of BYOL-A has a test, and whole modules give what the vectors of their formulas say."""

import re

import pytest
import torch

from earmark.figures.correlation import correlate, published_scores
from earmark.files import read_yaml
from earmark.frontends import log_mel_frontend
from earmark.pretraining import views
from earmark.pretraining.views import Fader, Mixup, ResizeCrop, crop_sizes, draw_integers
from earmark.tables.cells import read_published

HERE = "pretraining/test_byola_vectors.py"
VIEWS, BYOL = "pretraining/test_byol_views.py", "pretraining/test_byol.py"
ENCODER, FRONTEND = "encoders/test_byola.py", "encoders/test_byola_frontend.py"
# Where each vector is compared with our code, each with its own tolerance (1e-6 or 1e-5, mel points as printed).
COMPARED = {
    "log_mixup_exp_lambda_0.0": (VIEWS, "test_log_mixup_exp"),
    "log_mixup_exp_lambda_0.1": (VIEWS, "test_log_mixup_exp"),
    "log_mixup_exp_lambda_0.2": (VIEWS, "test_log_mixup_exp"),
    "log_mixup_exp_lambda_0.1_with_eps": (VIEWS, "test_log_mixup_exp"),
    "gaussian_block_logmixexp": (VIEWS, "test_gaussian_block"),
    "rlf_paper_T4": (VIEWS, "test_linear_ramp"),
    "rlf_code_T4": (VIEWS, "test_linear_ramp"),
    "rlf_paper_T6": (VIEWS, "test_linear_ramp"),
    "rlf_code_T6": (VIEWS, "test_linear_ramp"),
    "rlf_apply_code": (VIEWS, "test_fader_adds_one_ramp_to_every_band"),
    "rrc_crop_sizes_64x96": (VIEWS, "test_crop_sizes"),
    "rrc_canvas_64x96": (VIEWS, "test_canvas_and_ranges_of_corners"),
    "bicubic_align_corners_3x4_to_5x6": (VIEWS, "test_bicubic"),
    "rrc_full_4x6": (VIEWS, "test_resize_crop"),
    "rrc_full_4x6_whole_canvas": (VIEWS, "test_resize_crop"),
    "pre_norm": (VIEWS, "test_pre_norm"),
    "post_norm": (VIEWS, "test_post_norm"),
    "mean_max_pool": (ENCODER, "test_pooling_over_time"),
    "reshape_BCFT_to_BTD": (ENCODER, "test_local_features"),
    "reshape_freq_mean": (ENCODER, "test_local_features"),
    "reshape_channel_mean": (ENCODER, "test_local_features"),
    "byol_loss_one_direction": (BYOL, "test_loss_of_one_direction"),
    "ema_update": (BYOL, "test_target_follows_the_online_network"),
    "ema_tau_limits": (BYOL, "test_target_follows_the_online_network"),
    "ci95_three_runs": ("test_metrics.py", "test_student_interval"),
    "frame_counts": (FRONTEND, "test_frame_counts"),
    "mel_points_byola": (FRONTEND, "test_mel_points"),
    "mel_fb_byola_rowsum": (FRONTEND, "test_bands"),
    "linear_eval_early_stop": ("heads/test_linear_heads.py", "test_early_stop_vector"),
    "standardise": ("heads/test_linear_data.py", "test_standardise_vector"),
    "fig6_pearson_from_table4": (HERE, "test_the_published_half_of_figure_6"),
}


def near(found, wanted, tol):
    torch.testing.assert_close(found, torch.as_tensor(wanted).to(found), atol=tol, rtol=0)


@pytest.fixture
def draws(monkeypatch):
    """Give a function that makes the blocks draw these numbers, one row for each kind of draw."""

    def give(*rows):
        numbers = torch.tensor(rows, dtype=torch.float64)
        monkeypatch.setattr(views, "draw_uniform", lambda seed, n_draws, n_items: numbers)

    return give


def test_every_vector_of_the_paper_is_compared_by_a_test(root, vectors):
    assert set(COMPARED) == {name for name, vector in vectors.items() if vector["paper"] in ("byola", "both")}
    for name, (file, test) in COMPARED.items():
        text = (root / "tests" / "unit" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{name}: {file} has no {test}"
        assert re.search(r"vectors\[", text) and vectors[name]["tol"] <= (0.01 if name == "mel_points_byola" else 1e-5)


def test_mixup_module_gives_the_vector(vectors, draws):
    vector = vectors["log_mixup_exp_lambda_0.1_with_eps"]
    x, other = (torch.tensor([[vector["input"][key]]], dtype=torch.float64) for key in ("x", "x_k"))
    mixup = Mixup(x.shape[1:], alpha=0.2, queue=4).double()
    draws([0.0], [0.0])
    mixup(other, other, seed=0)
    draws([vector["input"]["lam"] / 0.2], [0.9])  # the queue holds one input
    near(mixup(x, x, seed=0)[0, 0], vector["expected"], vector["tol"])


def test_fader_module_gives_the_vector(vectors, draws):
    vector = vectors["rlf_apply_code"]
    draws(*([(vector["input"][key] + 1) / 2] for key in ("a", "b")))
    x = torch.tensor([vector["input"]["x_FxT"]])
    near(Fader((-1.0, 1.0), reaches_end=True)(x, x, seed=0)[0], vector["expected"], vector["tol"])


@pytest.mark.parametrize("name", ["rrc_full_4x6", "rrc_full_4x6_whole_canvas"])
def test_resize_crop_module_gives_the_vector(vectors, draws, name):
    vector, canvas = vectors[name], 9
    x = torch.tensor([vector["input"]["x"]])
    height, width, top, left = (vector["input"][key] for key in ("F_C", "T_C", "i", "j"))
    shares = ((height + 0.5) / 4 - 0.1) / 1.5, ((width + 0.5) / 6 - 0.1) / 1.5  # bounds 0.1 to 1.6
    draws([shares[0]], [shares[1]], [(top + 0.5) / (4 - height + 1)], [(left + 0.5) / (canvas - width + 1)])
    near(ResizeCrop((0.1, 1.6), (0.1, 1.6), 1.5)(x, x, seed=0)[0], vector["expected"], vector["tol"])


def test_crop_sizes_and_corners_have_the_printed_ranges(vectors):
    expected = vectors["rrc_canvas_64x96"]["expected"]
    shares = torch.tensor([0.6, 1.5], dtype=torch.float64)
    heights, widths = crop_sizes(shares, 64, 64), crop_sizes(shares, 96, 144)
    assert heights.tolist() == expected["F_C_range"] and widths.tolist() == expected["T_C_range"]
    last = torch.tensor([1 - 2**-53], dtype=torch.float64)
    assert draw_integers(last, 64 - heights[:1] + 1).tolist() == [expected["i_max_for_F_C_38"]]
    assert draw_integers(last, 144 - widths[:1] + 1).tolist() == [expected["j_max_for_T_C_57"]]


def test_outer_bands_of_the_front_end_lie_on_the_mel_points(root, vectors):
    """Points 0, 1, 2 bound the lowest band and 63, 64, 65 the highest; they are printed to four digits."""
    points = vectors["mel_points_byola"]["expected"]
    bands = log_mel_frontend(read_yaml(root / "config" / "frontends.yaml")["byola"]).mel.mel_scale.fb.double()
    bins = torch.arange(513, dtype=torch.float64) * 16000 / 1024
    for band, (low, middle, high) in ((0, points[:3]), (63, points[5:])):
        rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
        triangle = torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)
        near(bands[:, band], triangle, 1e-6)
    empty = int((bands.sum(dim=0) == 0).sum())
    assert empty == vectors["mel_fb_byola_rowsum"]["expected"]["empty_rows"]


def test_the_published_half_of_figure_6(root, vectors):
    vector = vectors["fig6_pearson_from_table4"]
    study = root / "paper" / "byola"
    figure = read_yaml(study / "tables.yaml")["figures"]["figure6"]
    scores = published_scores(read_published(study / figure["published"][0]), figure["leave_out"])
    assert scores.to_numpy().tolist() == list(vector["input"]["table"].values())
    near(torch.tensor(correlate(scores).to_numpy().tolist(), dtype=torch.float64), vector["expected"], vector["tol"])
