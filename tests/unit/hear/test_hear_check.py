"""`check-encoder` finds each fault of a module that is right but for one point, and none in right modules."""

import re
import sys
import time
import types

import pytest
import small_hear_module as right
import torch

from earmark.hear.check import Finding, check_encoder, describe
from earmark.hear.processes import SameProcess

LENGTHS = (0.1, 1.07, 11.0)


@pytest.fixture
def check(monkeypatch):
    def check(model=None, weights=None, lengths=LENGTHS, device="cpu", **functions):
        """Check the right module with some functions replaced (None: removed) or another class of model."""
        module = types.ModuleType("module_under_check")
        for name in ("load_model", "get_scene_embeddings", "get_timestamp_embeddings"):
            setattr(module, name, getattr(right, name))
        if model is not None:
            module.load_model = lambda path="": model() if callable(model) else model
        for name, function in functions.items():
            if function is None:
                delattr(module, name)
            else:
                setattr(module, name, function)
        monkeypatch.setitem(sys.modules, "module_under_check", module)
        return list(check_encoder("module_under_check", weights, SameProcess, device=device, lengths=lengths))

    return check


def scene_of(change):
    return {"get_scene_embeddings": lambda audio, model: change(right.get_scene_embeddings(audio, model))}


def times_of(change):
    def get_timestamp_embeddings(audio, model):
        return change(*right.get_timestamp_embeddings(audio, model))

    return {"get_timestamp_embeddings": get_timestamp_embeddings}


def raise_on_short(audio, model):
    if audio.shape[1] < 4000:
        raise RuntimeError("kernel size cannot be greater than input")
    return right.get_scene_embeddings(audio, model)


def raise_on_long(audio, model):
    if audio.shape[1] > 160_000:
        raise IndexError("there is no position 500")
    return right.get_scene_embeddings(audio, model)


def log_energy(audio, model):
    return right.get_scene_embeddings(audio, model) + audio.square().mean(dim=1, keepdim=True).log()


def normalise_over_batch(audio, model):
    return right.get_scene_embeddings(audio / audio.abs().max(), model)


def change_sound(audio, model):
    audio /= 2
    return right.get_scene_embeddings(audio, model)


def keep_gradients(audio, model):
    return model(audio).mean(dim=1)


def exit_at_once(audio, model):
    sys.exit("no licence")


def cut_to_one_second(audio, model):
    return right.get_timestamp_embeddings(audio[:, :16000], model)


class WithBatchNorm(right.Model):
    def forward(self, audio):
        return self.norm(super().forward(audio).transpose(1, 2)).transpose(1, 2)


class WithDropout(right.Model):
    def forward(self, audio):
        return self.dropout(super().forward(audio))


def changed(**attributes):
    return type("Model", (right.Model,), attributes)


FAULTS = {
    # name: (what is replaced, check that fails, what the finding says)
    "no function": ({"get_scene_embeddings": None}, "functions", "no get_scene_embeddings"),
    "load_model fails": ({"load_model": lambda path="": 1 / 0}, "load_model", "ZeroDivisionError: division by zero"),
    "no rate": ({"model": changed(sample_rate=property())}, "sample_rate", "sample_rate is missing"),
    "rate is text": ({"model": changed(sample_rate="16k")}, "sample_rate", r"sample_rate = '16k' \(str\)"),
    "size is no whole number": ({"model": changed(scene_embedding_size=8.0)}, "scene_embedding_size", "8.0"),
    "size is 0": ({"model": changed(timestamp_embedding_size=0)}, "timestamp_embedding_size", "= 0"),
    "another size": (scene_of(lambda scene: scene[:, :7]), "scene embeddings", "scene_embedding_size to 7"),
    "frames for scenes": (scene_of(lambda scene: scene[:, None]), "scene embeddings", "Average .* over time"),
    "one for all clips": (scene_of(lambda scene: scene.mean(0)), "scene embeddings", "Keep the batch axis"),
    "squeezed": (scene_of(lambda scene: scene.squeeze()), "alone and in a batch", "Keep the batch axis"),
    "nothing": (scene_of(lambda scene: None), "scene embeddings", "NoneType"),
    "a pair": (scene_of(lambda scene: (scene, scene)), "scene embeddings", "tuple of 2"),
    "double": (scene_of(lambda scene: scene.double()), "scene embeddings: type", "float64"),
    "half": (scene_of(lambda scene: scene.bfloat16()), "scene embeddings: type", "bfloat16"),
    "NaN": (scene_of(lambda scene: scene / 0 * 0), "scene embeddings", "32 of 32 values NaN"),
    "NaN in silence": ({"get_scene_embeddings": log_energy}, "of silence", "clip 0"),
    "short clips": ({"get_scene_embeddings": raise_on_short}, "scene embeddings of 0.1 s", "kernel size"),
    "long clips": ({"get_scene_embeddings": raise_on_long}, "scene embeddings of 11 s", "position 500"),
    "gradients": ({"get_scene_embeddings": keep_gradients}, "gradients", "no_grad"),
    "batch norm": ({"model": WithBatchNorm}, "scene embeddings alone and in a batch", "model.eval"),
    "dropout": ({"model": WithDropout}, "scene embeddings twice", "model.eval"),
    "random": (scene_of(lambda scene: scene + torch.rand(1)), "scene embeddings twice", "random"),
    "batch mates": ({"get_scene_embeddings": normalise_over_batch}, "alone and in a batch", "each clip by itself"),
    "sound changed": ({"get_scene_embeddings": change_sound}, "sound", "in place"),
    "constant": (scene_of(lambda scene: scene * 0 + 1), "of different sounds", "weights loaded"),
    "exit": ({"get_scene_embeddings": exit_at_once}, "scene embeddings", "SystemExit: no licence"),
    "no pair": (times_of(lambda frames, times: frames), "timestamp embeddings", "Tensor"),
    "seconds": (times_of(lambda frames, times: (frames, times / 1000)), "timestamp embeddings", "Multiply .* 1000"),
    "samples": (times_of(lambda frames, times: (frames, times * 16)), "timestamp embeddings", "not samples"),
    "frame numbers": (
        times_of(lambda frames, times: (frames, torch.arange(times.shape[1]).expand(len(times), -1))),
        "timestamps",
        "frame numbers",
    ),
    "backwards": (times_of(lambda frames, times: (frames, times.flip(1))), "timestamp embeddings", "do not increase"),
    "beyond the end": (times_of(lambda frames, times: (frames, times + 20)), "timestamp embeddings", "between 0 and"),
    "before the begin": (times_of(lambda frames, times: (frames, times - 20)), "timestamp embeddings", "times from -"),
    "times of one clip": (times_of(lambda frames, times: (frames, times[0])), "timestamp embeddings", "expand"),
    "dimensions before time": (
        times_of(lambda frames, times: (frames.transpose(1, 2), times)),
        "timestamp embeddings",
        r"transpose\(1, 2\)",
    ),
    "too few times": (times_of(lambda frames, times: (frames, times[:, 1:])), "timestamp embeddings", "its time"),
    "NaN in times": (times_of(lambda frames, times: (frames, times * torch.nan)), "timestamp embeddings", "times NaN"),
    "no frame": (
        times_of(lambda frames, times: (frames[:, :0], times[:, :0])),
        "timestamp embeddings",
        "at least one embedding",
    ),
}
NOTES = {
    "another rate": ({"model": lambda: changed(sample_rate=8000)().eval()}, "sample_rate", "8000 Hz"),
    "coarse": (times_of(lambda frames, times: (frames[:, ::5], times[:, ::5])), "timestamps", "at most 50 ms"),
    "uneven": (
        times_of(lambda frames, times: (frames, times + torch.arange(times.shape[1]) % 2 * 5 - 5)),
        "timestamps",
        "even steps",
    ),
    "ends early": ({"get_timestamp_embeddings": cut_to_one_second}, "timestamps", "up to the end"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(check, name):
    replaced, wanted_check, wanted_text = FAULTS[name]
    faults = [finding for finding in check(**replaced) if finding.status == "fault"]
    first = next((finding for finding in faults if wanted_check in finding.check), None)
    assert first, [finding.check for finding in faults]
    assert re.search(wanted_text, str(first.problem)), str(first.problem)


@pytest.mark.parametrize("name", NOTES)
def test_what_works_but_should_be_known_is_a_note(check, name):
    replaced, wanted_check, wanted_text = NOTES[name]
    findings = check(**replaced)
    assert not [finding for finding in findings if finding.status == "fault"]
    assert any(
        finding.check == wanted_check and wanted_text in str(finding.problem)
        for finding in findings
        if finding.status == "note"
    )


def test_a_right_module_has_no_fault(check):
    findings = check()
    assert {finding.status for finding in findings} == {"ok"}
    names = [finding.check for finding in findings]
    assert {f"scene embeddings of {seconds:g} s" for seconds in LENGTHS} <= set(names)
    assert len(set(names)) == len(names)
    assert "can be used: " in describe(findings, "m", time.perf_counter())


def test_a_right_module_of_another_rate_that_returns_numpy_is_right(check):
    model = changed(sample_rate=44100)

    def get_timestamp_embeddings(audio, model):
        frames, times = right.get_timestamp_embeddings(audio, model)
        return frames.numpy(), times.numpy()

    findings = check(model=lambda: model().eval(), get_timestamp_embeddings=get_timestamp_embeddings)
    assert {finding.status for finding in findings} == {"ok"}


def test_a_length_that_would_take_long_is_left_out(check):
    class Slow(right.Model):
        def forward(self, audio):
            time.sleep(0.02)
            return super().forward(audio)

    findings = check(model=lambda: Slow().eval(), lengths=(100_000.0,))
    left_out = [finding for finding in findings if finding.check.endswith(" of 100000 s")]
    assert [finding.status for finding in left_out] == ["note", "note"]
    assert all("left out: about" in finding.found for finding in left_out)


def test_the_summary_says_what_took_long():
    begin = time.perf_counter() - 20
    findings = [Finding("import", "ok", ""), Finding("scene embeddings of 60 s", "ok", "", seconds=12.0)]
    assert describe(findings, "m", begin).endswith("in 20 s, of which 12 s for scene embeddings of 60 s.")
    assert describe(findings[:1], "m", begin).endswith("0 faults, in 20 s.")


def test_a_module_that_is_not_there():
    findings = list(check_encoder("no_such_package.part", None, SameProcess))
    assert [finding.status for finding in findings] == ["fault"]
    assert "no module no_such_package.part" in findings[0].found and "--python" in findings[0].problem.advice


def test_a_module_whose_import_fails(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import package_that_is_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    findings = list(check_encoder("needs_more", None, SameProcess))
    assert "No module named 'package_that_is_absent'" in findings[0].found
    assert 'needs_more.py", line 1' in findings[0].problem.advice


@pytest.mark.filterwarnings("ignore:.*no weights were given")
@pytest.mark.parametrize("slug", ["mobilenet_v2", "byola_v1_d2048"])
def test_our_encoders_are_right(slug):
    torch.manual_seed(0)
    module = f"earmark.hear.modules.{slug}"
    findings = list(check_encoder(module, None, SameProcess, device="cpu", lengths=(0.1, 1.07)))
    assert [finding for finding in findings if finding.status == "fault"] == []
    assert {finding.check for finding in findings if finding.status == "note"} <= {"timestamps"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_right_module_is_right_on_a_gpu(check):
    findings = check(device="cuda")
    assert {finding.status for finding in findings} == {"ok"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_result_on_another_device_is_a_note(check):
    findings = check(device="cuda", **scene_of(lambda scene: scene.cpu()))
    assert [finding.check for finding in findings if finding.status != "ok"] == ["scene embeddings: device"]
