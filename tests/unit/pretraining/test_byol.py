"""BYOL: the networks, the loss and the target against the reference vectors; whole trainings on a corpus of tones."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from earmark.encoders import count_parameters, load_encoder
from earmark.errors import ProtocolError, TrainingError
from earmark.files import read_yaml
from earmark.frontends import log_mel_frontend
from earmark.pretraining import byol
from earmark.pretraining.byol import Byol, SegmentBatches, byol_loss, embed, perceptron, segment_statistics
from earmark.store import ClipStore

sys.path.insert(0, str(Path(__file__).parent))
from byol_run import FRONTEND, N_STEPS, N_TRAIN, PROTOCOL, run_byol, write_corpus


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def finished(store, tmp_path_factory):
    return run_byol(store, tmp_path_factory.mktemp("finished"))


def small_byol(predictor=True, seed=0):
    torch.manual_seed(seed)
    return Byol(load_encoder("byola_v1_d2048", width=0.0625), nn.Identity(), 32, 16, predictor).train()


def two_views(n_items=5):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n_items, 64, 96, generator=generator) for _ in range(2)]


def test_parameters_of_projector_and_predictor_are_those_of_the_protocol():
    assert count_parameters(perceptron(3072, 4096, 256)) == 13_644_032
    assert count_parameters(perceptron(256, 4096, 256)) == 2_109_696


def test_online_network_of_the_base_encoder_has_the_parameters_of_the_protocol():
    with torch.device("meta"):
        model = Byol(load_encoder("byola"), nn.Identity(), 4096, 256, predictor=True)
    assert count_parameters(model.encoder) == 6_333_376
    assert count_parameters(model) == 22_087_104  # the target's parameters are not trained
    assert sum(map(torch.numel, model.target_encoder.parameters())) == 6_333_376


def test_loss_of_one_direction(vectors):
    vector = vectors["byol_loss_one_direction"]
    found = byol_loss(*(torch.tensor(vector["input"][key]) for key in ("q", "z_target")))
    torch.testing.assert_close(found, torch.tensor(vector["expected"]["per_row"]), atol=vector["tol"], rtol=0)
    assert found.mean().item() == pytest.approx(vector["expected"]["batch_mean"], abs=vector["tol"])


class _Numbers(nn.Module):
    """An encoder that is a parameter."""

    embedding_dim = 1

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))


def target_after(given, tau, steps=1):
    model = Byol(_Numbers(given["target"]), nn.Identity(), 2, 2, predictor=True)
    model.encoder.values.data = torch.tensor(given["online"])
    for _ in range(steps):
        model.update_target(tau)
    return model.target_encoder.values


def test_target_follows_the_online_network(vectors):
    vector = vectors["ema_update"]
    found = target_after(vector["input"], vector["input"]["tau"], vector["input"]["steps"])
    torch.testing.assert_close(found, torch.tensor(vector["expected"]), atol=vector["tol"], rtol=0)
    limits = vectors["ema_tau_limits"]
    assert target_after(limits["input"], 1).tolist() == limits["expected"]["tau_1"]
    assert target_after(limits["input"], 0).tolist() == limits["expected"]["tau_0"]


def test_loss_is_that_of_two_separate_passes_with_the_views_crossed():
    model, (first, second) = small_byol().eval(), two_views()
    model.encoder.train(), model.target_encoder.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    found = model(first, second)
    online = [model.predictor(model.projector(embed(model.encoder, view))) for view in (first, second)]
    target = [model.target_projector(embed(model.target_encoder, view)) for view in (second, first)]
    cosine = nn.functional.cosine_similarity
    wanted = sum((2 - 2 * cosine(q, z)).mean() for q, z in zip(online, target, strict=True))
    torch.testing.assert_close(found, wanted)
    assert 0 <= found <= 8
    together = embed(model.encoder, torch.cat([first, second]))  # statistics of both views differ from those of one
    assert not torch.allclose(together[:5], embed(model.encoder, first), atol=1e-4)


def test_target_has_no_gradient_and_statistics_of_its_own():
    model = small_byol()
    model.encoder.fc[0].weight.data.mul_(1.5)
    model(*two_views()).backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if not name.startswith("target_")}
    counters = [module.num_batches_tracked.item() for module in model.modules() if hasattr(module, "running_mean")]
    assert counters == [2] * len(counters)  # one pass for each view, in the target as well
    before = model.target_projector[1].running_mean.clone()
    assert not torch.equal(before, model.projector[1].running_mean)
    model.update_target(0.0)
    for name in ("encoder", "projector"):
        online, target = (dict(getattr(model, f"{kind}{name}").named_parameters()) for kind in ("", "target_"))
        assert all(torch.equal(target[key], value) for key, value in online.items())
    assert torch.equal(model.target_projector[1].running_mean, before)


def test_no_prediction_compares_the_projection_itself():
    model = small_byol(predictor=False)
    assert count_parameters(model) == count_parameters(model.encoder) + count_parameters(model.projector)
    model(*two_views()).backward()


def test_segments_are_drawn_anew_each_epoch_and_short_clips_end_in_zeros(store):
    clips = ClipStore(store)
    batches = SegmentBatches(clips, range(N_TRAIN), 6, 15_200, seed=1)
    assert batches.steps_per_epoch == 4
    starts = {}
    for step in range(8):
        batch = batches.batch(step)
        assert torch.equal(batch.inputs, batches.batch(step).inputs)
        assert len(batch.inputs) == (5 if step % 4 == 3 else 6) and batch.inputs.shape[1] == 15_200
        for waveform, name in zip(batch.inputs, batch.clip_ids, strict=True):
            clip = clips.waveform(int(name[1:]))
            if len(clip) <= 15_200:
                assert np.array_equal(waveform[: len(clip)], clip) and not waveform[len(clip) :].any()
                continue
            found = [start for start in range(len(clip) - 15_200) if clip[start] == waveform[0]]
            start = next(s for s in found if np.array_equal(clip[s : s + 15_200], waveform))
            starts.setdefault(name, []).append(start)
    assert len(starts) == 7
    assert all(len(pair) == 2 and pair[0] != pair[1] for pair in starts.values())


def test_a_last_batch_is_never_a_single_clip(store):
    batches = SegmentBatches(ClipStore(store), range(19), 6, 15_200, seed=1)
    assert [len(batches.batch(step).clip_ids) for step in range(batches.steps_per_epoch)] == [6, 6, 7]


def test_statistics_are_those_of_all_values_of_the_segments(store):
    segments = SegmentBatches(ClipStore(store), range(N_TRAIN), 6, 15_200, seed=1)
    log_mel = log_mel_frontend(FRONTEND)
    mean, deviation, n_segments = segment_statistics(segments, log_mel, 30)
    values = np.concatenate([log_mel(segments.batch(step).inputs).numpy().astype(float) for step in range(6)])
    assert n_segments == len(values) == 35  # 23 clips, then 12 segments of the second epoch
    assert (mean, deviation) == pytest.approx((values.mean(), values.std()))


def test_a_training_writes_the_online_encoder_its_card_and_the_loss_of_each_epoch(finished):
    card, history = read_yaml(finished / "card.yaml"), pd.read_csv(finished / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4] and history["train_loss"].between(0, 8).all()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert card["last_loss"] == pytest.approx(history["train_loss"].iloc[-1])
    assert (card["steps"], card["epochs"], card["n_train"], card["queue_filled"]) == (N_STEPS, 4, N_TRAIN, 32)
    assert card["corpus_hours"] == pytest.approx((8 * 8000 + 8 * 15200 + 7 * 25600) / 16000 / 3600)
    assert card["hours_seen"] == pytest.approx(4 * (8 * 8000 + 15 * 15200) / 16000 / 3600)
    assert card["pre_norm"]["n_segments"] == 23 and card["device"] == "cpu"
    weights = load_file(finished / "weights.safetensors")
    assert {name.split(".")[0] for name in weights} == {"encoder"}
    encoder = load_encoder("byola_v1_d2048", finished / "weights.safetensors", width=0.0625)
    assert count_parameters(encoder) == card["parameters"]
    assert not (finished / "work").exists()


def test_cut_off_and_started_again_equals_an_unbroken_run(store, tmp_path, finished, monkeypatch):
    whole, calls = byol.byol_loss, []

    def failing(*args):
        calls.append(1)
        if len(calls) == 2 * 11:  # two directions a step
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(byol, "byol_loss", failing)
    with pytest.raises(KeyboardInterrupt):
        run_byol(store, tmp_path)
    checkpoint = torch.load(_payload(tmp_path / "work" / "checkpoint_000000009.pt"), weights_only=True)
    assert {"views.blocks.mixup.items", "target_encoder.fc.0.weight"} <= set(checkpoint["model"])
    calls.clear()
    monkeypatch.setattr(byol, "byol_loss", lambda *args: calls.append(1) or whole(*args))
    run_byol(store, tmp_path)
    assert len(calls) == 2 * (N_STEPS - 9)
    wanted, found = (load_file(folder / "weights.safetensors") for folder in (finished, tmp_path))
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    histories = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (finished, tmp_path)]
    pd.testing.assert_frame_equal(*histories)


def _payload(path):
    import io

    return io.BytesIO(path.read_bytes()[32:])


@pytest.mark.parametrize(
    ("changes", "blocks"),
    [({"tau": 0.0}, ["gaussian"]), ({"tau": 1.0}, []), ({"predictor": False}, ["mixup", "gaussian", "resize_crop"])],
)
def test_ablations_train(store, tmp_path, finished, changes, blocks):
    protocol = {**PROTOCOL, "epochs": 1, "blocks": blocks, **changes}
    run_byol(store, tmp_path, protocol=protocol)
    card = read_yaml(tmp_path / "card.yaml")
    assert card["queue_filled"] == (32 if "mixup" in blocks else None)
    assert (card["parameters_predictor"] == 0) == ("predictor" in changes)
    assert np.isfinite(card["last_loss"])


def test_mixed_precision_trains(store, tmp_path):
    run_byol(store, tmp_path, precision="bf16-mixed")
    history = pd.read_csv(tmp_path / "history.csv")["train_loss"]
    assert history.iloc[-1] < history.iloc[0]
    assert all(value.dtype != torch.bfloat16 for value in load_file(tmp_path / "weights.safetensors").values())


def test_a_fixed_target_never_moves(store, tmp_path, monkeypatch):
    seen = []
    update = Byol.update_target
    monkeypatch.setattr(Byol, "update_target", lambda model, tau: update(model, tau) or seen.append(_target(model)))
    run_byol(store, tmp_path, protocol={**PROTOCOL, "epochs": 1, "tau": 1.0})
    assert all(torch.equal(seen[0], values) for values in seen) and len(seen) == 4


def _target(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.target_encoder.parameters()])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 24}, "has 23 clips for train .*fewer than one batch of 24"),
        ({"tau": 1.1}, "tau must be from 0 .* found 1.1"),
        ({"segment_seconds": 0}, "segment_seconds must be above 0"),
        ({"pre_norm_segments": 0}, "pre_norm_segments must be at least 1"),
        ({"epochs": 0}, "max_epochs must be above 0"),
    ],
)
def test_protocol_values_that_make_no_sense_are_refused(store, tmp_path, changes, message):
    with pytest.raises(ProtocolError, match=message):
        run_byol(store, tmp_path, protocol={**PROTOCOL, **changes})


def test_a_frozen_encoder_is_refused(store, tmp_path, monkeypatch):
    build = byol.load_encoder

    def load_frozen(*args, **options):
        encoder = build(*args, **options)
        encoder.trainable = list
        return encoder

    monkeypatch.setattr(byol, "load_encoder", load_frozen)
    with pytest.raises(ProtocolError, match="no trainable parameters"):
        run_byol(store, tmp_path)


def test_a_loss_that_is_no_number_names_the_clips(store, tmp_path, monkeypatch):
    monkeypatch.setattr(byol, "byol_loss", lambda prediction, target: prediction.sum(dim=-1) * float("nan"))
    with pytest.raises(TrainingError, match="the loss became nan at step 0, on the clips c"):
        run_byol(store, tmp_path)
