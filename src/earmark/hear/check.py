"""Look at an encoder of a user before any work: everything that HEAR and this workflow ask of a module.

Sources: the common API of Turian et al. 2022 and its validator (rates, shapes, spacing and end of timestamps); the rest
is what made other suites fail or score wrongly: batch mates, training mode, short clips, silence.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from earmark.errors import EncoderError
from earmark.hear.bridge import is_absent
from earmark.hear.processes import Caller, last_lines
from earmark.hear.results import Problem, scene_problem, timestamp_problem
from earmark.hear.worker import ATTRIBUTES

HEAR_RATES_HZ = (16000, 22050, 32000, 44100, 48000)
LENGTHS_SECONDS = (0.1, 0.3, 1.07, 60.0)
FIRST_SECONDS = {"get_scene_embeddings": 2.74, "get_timestamp_embeddings": 4.0}  # lengths that the validator uses
BATCH_SECONDS = 1.0
PATIENCE_SECONDS = 30.0  # a length that would take longer is left out
SPACING_MS = 50.0  # HEAR's advice: note onsets are scored with this tolerance
IRREGULAR_MS = 1.0  # HEAR's validator allows this deviation of a step from the mean step
TOLERANCE = {"cpu": 1e-4, "cuda": 2e-3}  # of the largest value; convolutions on a GPU round to TF32
SCENE, TIMES = "get_scene_embeddings", "get_timestamp_embeddings"
NAMES = {SCENE: "scene embeddings", TIMES: "timestamp embeddings"}
EVALUATE = "The model is in training mode: call model.eval() in load_model."


@dataclass(frozen=True)
class Finding:
    """The result of one check. `status`: ok, note (works, but read it) or fault; `problem` says more where not ok.

    `seconds`: that the module took to encode a clip of one length, where that is what was checked.
    """

    check: str
    status: str
    found: str
    problem: Problem | None = None
    seconds: float = 0.0


@dataclass
class _Subject:
    """The module under check, which is started again when its process dies."""

    module: str
    weights: str | None
    device: str
    start: Callable[[], Caller]
    threads: int | None
    caller: Caller = field(init=False)
    rate: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)  # of a call: seconds for a second of sound
    placed_on: str = "cpu"

    def open(self) -> None:
        self.caller = self.start()

    def ask(self, header: Mapping[str, Any], *arrays: np.ndarray) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Carry out a call; a process that dies or is late gives an error like any other, and a fresh one follows."""
        try:
            return self.caller.call({**header, "as_it_is": True}, *arrays)
        except EncoderError as error:
            self.caller.close()
            self.open()
            if header["call"] not in ("import", "load"):
                self.caller.call(self.import_call)
                self.caller.call(self.load_call)
            return {"error": {"type": "stopped", "message": str(error), "traceback": ""}}, []

    @property
    def import_call(self) -> dict[str, Any]:
        return {"call": "import", "module": self.module, "threads": self.threads}

    @property
    def load_call(self) -> dict[str, Any]:
        return {"call": "load", "weights": self.weights, "device": self.device, "as_it_is": True}

    def embed(self, call: str, audio: np.ndarray) -> tuple[Problem | None, dict[str, Any], list[np.ndarray]]:
        """Encode clips. Returns what is wrong with the answer, the facts and the arrays."""
        facts, arrays = self.ask({"call": call}, audio)
        if problem := _raised(facts):
            return problem, facts, []
        cost = facts["seconds"] * self.rate / audio.size
        self.costs[call] = min(cost, self.costs.get(call, cost))
        size = self.sizes[call]
        if call == SCENE:
            return scene_problem(facts, arrays, len(audio), size), facts, arrays
        return timestamp_problem(facts, arrays, len(audio), size, 1000.0 * audio.shape[1] / self.rate), facts, arrays


def check_encoder(
    module: str,
    weights: str | None,
    start: Callable[[], Caller],
    *,
    device: str = "auto",
    threads: int | None = None,
    lengths: Sequence[float] = LENGTHS_SECONDS,
) -> Iterator[Finding]:
    """Check a HEAR module and yield what each check found, as soon as it is known.

    `start` gives a caller of `earmark.hear.processes`; `lengths`: of clips, in seconds. Nothing is raised for a module
    that fails: that is a finding.
    """
    subject = _Subject(module, weights, device, start, threads)
    subject.open()  # raises EncoderError when the Python named cannot be started
    try:
        if not (yield from _check_loading(subject)):
            return
        working = []
        for call in (SCENE, TIMES):
            if (yield from _check_first_call(subject, call)):
                working.append(call)
        for call in working:
            yield _check_repeats(subject, call)
            yield from _check_batch(subject, call)
        for seconds in lengths:
            for call in working:
                yield _check_length(subject, call, seconds)
        for call in working:
            yield from _check_sounds(subject, call)
    except EncoderError as error:  # nor could it be started again after it had died or was late
        advice = "Mend what stopped it first; on a busy machine, wait until it is free."
        yield _fault("starting again", Problem(str(error), "a process that goes on", advice))
    finally:
        subject.caller.close()


def _check_loading(subject: _Subject):
    imported, _ = subject.ask(subject.import_call)
    if is_absent(imported, subject.module):
        advice = "Install it, run where it lies, or give --python /path/to/env/bin/python of its environment."
        yield _fault("import", Problem(f"no module {subject.module}", "a module that Python can import", advice))
        return False
    if problem := _raised(imported):
        yield _fault("import", problem)
        return False
    yield Finding("import", "ok", f"{imported['file']}, Python {imported['python']}")
    if imported["missing"]:
        found = f"no {', '.join(imported['missing'])}"
        advice = "Define them in the module: load_model(path) and both calls as f(audio, model)."
        yield _fault("functions", Problem(found, "three functions of the HEAR API", advice))
        return False
    yield Finding("functions", "ok", "load_model and both calls")

    loaded, _ = subject.ask(subject.load_call)
    if problem := _raised(loaded):
        yield _fault("load_model", problem)
        return False
    given = "with weights" if subject.weights else "without weights"
    yield Finding(
        "load_model", "ok", f"{loaded['model']} ({loaded['framework']}), {given}, {_seconds(loaded['seconds'])}"
    )
    if loaded["framework"] == "unknown":
        wanted = "a torch.nn.Module or a TensorFlow module"
        yield _note("framework", Problem(f"{loaded['model']}", wanted, "HEAR's own programs refuse others."))
    faults = [problem for name in ATTRIBUTES if (problem := _wrong_attribute(name, loaded["attributes"].get(name)))]
    for name, problem in ((problem.found.split()[0], problem) for problem in faults):
        yield _fault(name, problem)
    if faults:
        return False
    values = {name: loaded["attributes"][name]["value"] for name in ATTRIBUTES}
    subject.rate, subject.placed_on = values["sample_rate"], loaded["device"].split(":")[0]
    subject.sizes = {SCENE: values["scene_embedding_size"], TIMES: values["timestamp_embedding_size"]}
    yield Finding("attributes", "ok", ", ".join(f"{name} {value}" for name, value in values.items()))
    if subject.rate not in HEAR_RATES_HZ:
        wanted = f"one of {', '.join(map(str, HEAR_RATES_HZ))}"
        advice = "Sound is resampled to any rate here; HEAR's own programs refuse this one."
        yield _note("sample_rate", Problem(f"{subject.rate} Hz", wanted, advice))
    return True


def _check_first_call(subject: _Subject, call: str):
    """Check form, type, place and side effects of an answer. Returns whether the call can be used for more."""
    audio = _noise(subject.rate, FIRST_SECONDS[call], 4 if call == SCENE else 2)
    problem, facts, arrays = subject.embed(call, audio)
    if problem:
        yield _fault(NAMES[call], problem)
        return False
    shapes = " and ".join(str(list(array.shape)) for array in arrays)
    yield Finding(NAMES[call], "ok", f"{shapes} in {_seconds(facts['seconds'])}")
    if call == TIMES:
        yield from _describe_times(arrays[1], FIRST_SECONDS[call])
    part = facts["parts"][0]
    if part["dtype"] != "float32":
        yield _fault(f"{NAMES[call]}: type", Problem(part["dtype"], "float32", "Return embeddings.float()."))
    if part.get("requires_grad"):
        advice = "Encode under torch.no_grad() and leave it off: memory grows with every batch."
        yield _fault(f"{NAMES[call]}: gradients", Problem("a result that carries gradients", "none", advice))
    if part.get("device", subject.placed_on) != subject.placed_on:
        advice = "Keep tensors on audio.device; it works here, as results are taken to the CPU."
        yield _note(
            f"{NAMES[call]}: device",
            Problem(part["device"], f"{subject.placed_on}, as the model and the sound", advice),
        )
    if facts["audio_changed"]:
        advice = "Work on a copy: no audio /= ..., no in-place function on it."
        yield _fault(f"{NAMES[call]}: sound", Problem("the sound was changed in place", "it left alone", advice))
    return True


def _describe_times(times: np.ndarray, seconds: float) -> Iterator[Finding]:
    """Yield how timestamps lie in the clip; what HEAR's validator warns of is a note."""
    row, clip_ms = times[0].astype(float), 1000.0 * seconds
    steps = np.diff(row)
    spacing = float(steps.mean()) if len(steps) else clip_ms
    summary = f"{len(row)} from {row[0]:.4g} to {row[-1]:.5g} ms in {clip_ms:g} ms, every {spacing:.4g}"
    name, summary = "timestamps", summary if len(steps) else f"one at {row[0]:.4g} ms in {clip_ms:g} ms"
    if len(steps) and np.allclose(steps, 1.0) and row[-1] < clip_ms / 2:
        advice = "These look like frame numbers: multiply them by the hop in ms."
        yield _fault(name, Problem(summary, "milliseconds over the whole clip", advice))
    elif len(steps) and float(np.abs(steps - spacing).max()) > IRREGULAR_MS:
        yield _note(name, Problem(summary, "even steps, to 1 ms", "HEAR's own validator refuses uneven steps."))
    elif row[-1] < clip_ms - max(SPACING_MS, spacing):
        yield _note(name, Problem(summary, "embeddings up to the end", "Pad the end, so that it is not left out."))
    elif spacing > SPACING_MS:
        advice = "Coarser steps cannot hit HEAR's 50 ms tolerance in tasks of onsets; clips are not concerned."
        yield _note(name, Problem(summary, f"a step of at most {SPACING_MS:g} ms", advice))
    else:
        yield Finding(name, "ok", summary)


def _check_repeats(subject: _Subject, call: str) -> Finding:
    name = f"{NAMES[call]} twice"
    audio = _noise(subject.rate, BATCH_SECONDS, 2)
    problem, facts, first = subject.embed(call, audio)
    if not problem:
        problem, _, second = subject.embed(call, audio)
    if problem:
        return _fault(name, problem)
    difference = _difference(first[0], second[0])
    if difference > TOLERANCE[subject.placed_on]:
        advice = (
            f"{EVALUATE} Dropout is drawn anew." if facts["is_training"] else "Remove what is random: crops, noise."
        )
        return _fault(name, Problem(f"results that differ by {difference:.1%}", "the same for the same sound", advice))
    return Finding(name, "ok", f"differ by {difference:.0e}")


def _check_batch(subject: _Subject, call: str) -> Iterator[Finding]:
    """Compare clips of very different level alone and in one batch, and with each other."""
    name = f"{NAMES[call]} alone and in a batch"
    audio = _different_clips(subject.rate, BATCH_SECONDS)
    problem, facts, together = subject.embed(call, audio)
    differences = []
    for row in range(0 if problem else len(audio)):
        problem, _, alone = subject.embed(call, audio[row : row + 1])
        if problem:
            break
        differences.append(_difference(alone[0][0], together[0][row]))
    if problem:
        yield _fault(name, problem)
        return
    difference = max(differences)
    if difference <= TOLERANCE[subject.placed_on]:
        yield Finding(name, "ok", f"differ by {difference:.0e}")
    else:
        advice = "Normalise each clip by itself (dim=1, keepdim=True), and let no clip see how others are padded."
        advice = f"{EVALUATE} Batch norm mixes clips." if facts["is_training"] else advice
        yield _fault(name, Problem(f"a clip whose result changes by {difference:.1%}", "the same either way", advice))
    if all(_difference(together[0][0], other) == 0 for other in together[0][1:]):
        problem = Problem("the same for noise, a tone and a click", "different ones", "Are the weights loaded?")
        yield _fault(f"{NAMES[call]} of different sounds", problem)


def _check_length(subject: _Subject, call: str, seconds: float) -> Finding:
    name = f"{NAMES[call]} of {seconds:g} s"
    expected = subject.costs[call] * seconds
    if expected > PATIENCE_SECONDS:
        found = f"left out: about {expected:.0f} s, by what shorter clips took"
        return _note(name, Problem(found, f"at most {PATIENCE_SECONDS:g} s", "Try it on a faster machine."))
    problem, facts, arrays = subject.embed(call, _noise(subject.rate, seconds, 1))
    if problem:
        return _fault(name, problem)
    return Finding(name, "ok", f"{list(arrays[0].shape)} in {_seconds(facts['seconds'])}", seconds=facts["seconds"])


def _check_sounds(subject: _Subject, call: str) -> Iterator[Finding]:
    samples = round(subject.rate * BATCH_SECONDS)
    square = np.where(np.arange(samples) // 20 % 2, -1.0, 1.0)
    for name, clip in (("silence", np.zeros(samples)), ("full scale", square)):
        problem, _, _ = subject.embed(call, clip[None].astype(np.float32))
        check = f"{NAMES[call]} of {name}"
        yield _fault(check, problem) if problem else Finding(check, "ok", "finite")


def _wrong_attribute(name: str, found: Mapping[str, Any] | None) -> Problem | None:
    advice = "Set it in the class of the model that load_model returns."
    if found is None:
        return Problem(f"{name} is missing", "a whole number above 0", advice)
    if found["type"] != "int" or found["value"] <= 0:
        return Problem(f"{name} = {found['value']} ({found['type']})", "a whole number above 0", advice)
    return None


def _raised(header: Mapping[str, Any]) -> Problem | None:
    error = header.get("error")
    if not error:
        return None
    if error["type"] == "stopped":
        return Problem(error["message"], "an answer", "Run the module by itself on such sound to see why.")
    where = last_lines(error["traceback"])
    return Problem(f"{error['type']}: {error['message']}", "no exception", f"Mend what the traceback names:\n{where}")


def _fault(check: str, problem: Problem) -> Finding:
    return Finding(check, "fault", problem.found, problem)


def _note(check: str, problem: Problem) -> Finding:
    return Finding(check, "note", problem.found, problem)


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest difference of two embeddings, as a share of their largest value."""
    if first.shape != second.shape:
        return float("inf")
    scale = max(float(np.abs(first).max()), float(np.abs(second).max()))
    return float(np.abs(first - second).max()) / scale if scale else 0.0


def _noise(rate: int, seconds: float, batch: int) -> np.ndarray:
    generator = np.random.default_rng(round(seconds * 1000))
    return (0.1 * generator.standard_normal((batch, round(rate * seconds)))).clip(-1, 1).astype(np.float32)


def _different_clips(rate: int, seconds: float) -> np.ndarray:
    """Make noise, a loud tone, very quiet noise and a click: [4, samples]."""
    samples = round(rate * seconds)
    noise, quiet = _noise(rate, seconds, 2)
    tone = 0.9 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    click = np.zeros(samples)
    click[samples // 2] = 1.0
    return np.stack([noise, tone, 0.001 * quiet, click]).astype(np.float32)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def describe(findings: Sequence[Finding], module: str, begin: float) -> str:
    """Sum findings up in a line. `begin`: time.perf_counter() at the start."""
    count = {status: sum(finding.status == status for finding in findings) for status in ("ok", "note", "fault")}
    faults = f"{count['fault']} fault{'' if count['fault'] == 1 else 's'}"
    notes = f"{count['note']} note{'' if count['note'] == 1 else 's'}"
    verdict = "cannot be used as it is" if count["fault"] else "can be used"
    elapsed = time.perf_counter() - begin
    longest = max(findings, key=lambda finding: finding.seconds)
    share = f", of which {_seconds(longest.seconds)} for {longest.check}" if longest.seconds > elapsed / 4 else ""
    return f"{module} {verdict}: {count['ok']} checks ok, {notes}, {faults}, in {_seconds(elapsed)}{share}."
