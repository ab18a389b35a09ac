"""Load a HEAR module and answer calls to it, in this process or, over pipes, for another one.

This file is also run as a script by the Python of another environment. So it uses nothing but the standard library,
numpy and the framework of the module, and nothing newer than Python 3.8. A message is a line of JSON and then arrays in
numpy's npy form; nothing is unpickled on either side.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path

import numpy as np

FUNCTIONS = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")
ATTRIBUTES = ("sample_rate", "scene_embedding_size", "timestamp_embedding_size")


class HearModule:
    """A HEAR module and its model. `answer` takes and gives messages: (header, arrays)."""

    def __init__(self):
        self.module = None
        self.model = None
        self.framework = None
        self.device = "cpu"

    def answer(self, header, arrays):
        """Carry out a call and say what came of it; never raises, except for Ctrl-C.

        `header`: `call` is `import` (module, threads), `load` (weights, device), `get_scene_embeddings` or
        `get_timestamp_embeddings` (one array, float32 [batch, samples] at the module's rate). `as_it_is` leaves the
        model's mode and gradients to the module; else it is put into evaluation mode and no gradient is kept. Returns
        (header, arrays): `error` (type, message, traceback) or facts on what was found.
        """
        try:
            if header["call"] == "import":
                return self._import(header["module"], header.get("threads")), []
            if header["call"] == "load":
                return self._load(header["weights"], header["device"], header["as_it_is"]), []
            return self._embed(header["call"], arrays[0], header["as_it_is"])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may also call sys.exit
            trace = "".join(traceback.format_exception(type(error), error, _skip_own_frames(error.__traceback__)))
            return {"error": {"type": type(error).__name__, "message": str(error), "traceback": trace}}, []

    def _import(self, name, threads):
        working_folder = str(Path.cwd())  # a module that lies beside config.yaml is found like an installed one
        if working_folder not in sys.path:
            sys.path.append(working_folder)
        if all(map(_is_installed, ("earmark", "torch", "torchaudio"))):
            importlib.import_module("earmark.cpu_torchaudio")  # lets a module import torchaudio beside a CPU torch
        if name.startswith("earmark.") and not _is_installed("earmark"):
            sys.path.append(str(Path(__file__).resolve().parents[2]))  # an adapter of hear/outside; it needs no more
        if threads and _is_installed("torch"):
            importlib.import_module("torch").set_num_threads(threads)
        self.module = importlib.import_module(name)
        return {
            "file": str(getattr(self.module, "__file__", None)),
            "source_sha256": _digest_source(name),
            "python": ".".join(map(str, sys.version_info[:3])),
            "missing": [name for name in FUNCTIONS if not callable(getattr(self.module, name, None))],
        }

    def _load(self, weights, device, as_it_is):
        begin = time.perf_counter()
        self.model = self.module.load_model(weights) if weights else self.module.load_model()
        seconds = time.perf_counter() - begin
        self.framework = _framework_of(self.model)
        if self.framework == "torch":
            self.device = _choose_device(device)
            self.model.to(self.device)
            if not as_it_is:
                self.model.eval()
        facts = {name: _describe(getattr(self.model, name, None)) for name in ATTRIBUTES if hasattr(self.model, name)}
        return {
            "attributes": facts,
            "framework": self.framework,
            "framework_version": str(getattr(sys.modules.get(self.framework), "__version__", None)),
            "device": self.device,
            "model": type(self.model).__name__,
            "seconds": seconds,
        }

    def _embed(self, call, audio, as_it_is):
        given = self._to_framework(audio)
        begin = time.perf_counter()
        with contextlib.nullcontext() if as_it_is or self.framework != "torch" else _no_grad():
            result = getattr(self.module, call)(given, self.model)
        seconds = time.perf_counter() - begin
        parts = list(result) if isinstance(result, (tuple, list)) else [result]
        described = [_to_array(part) for part in parts]
        facts = {
            "returned": type(result).__name__,
            "parts": [facts for facts, _ in described],
            "is_training": bool(getattr(self.model, "training", False)),
            "audio_changed": not np.array_equal(_to_array(given)[1], audio, equal_nan=True),
            "seconds": seconds,
        }
        return facts, [array for _, array in described if array is not None]

    def _to_framework(self, audio):
        if self.framework == "tensorflow":
            return importlib.import_module("tensorflow").convert_to_tensor(audio)
        torch = importlib.import_module("torch")
        return torch.from_numpy(audio.copy()).to(self.device)


def _no_grad():
    return importlib.import_module("torch").no_grad()


def _framework_of(model):
    """Say which framework a model is of, by the modules of its classes: torch, tensorflow or unknown."""
    packages = {base.__module__.split(".")[0] for base in type(model).__mro__}
    if "torch" in packages:
        return "torch"
    return "tensorflow" if packages & {"tensorflow", "keras"} else "unknown"


def _choose_device(device):
    if device != "auto":
        return device
    return "cuda" if importlib.import_module("torch").cuda.is_available() else "cpu"


def _describe(value):
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return {"type": type(value).__name__, "value": value if is_whole else repr(value)[:80]}


def _to_array(value):
    """Turn what a module returned into facts and an array (None where it is no array of numbers)."""
    facts = {"type": type(value).__name__}
    if hasattr(value, "detach"):  # torch
        facts.update(dtype=str(value.dtype).replace("torch.", ""), device=value.device.type)
        facts["requires_grad"] = bool(value.requires_grad)
        value = value.detach().cpu()
        value = value.float() if facts["dtype"] == "bfloat16" else value  # numpy has no such type
    if not hasattr(value, "__array__") and not hasattr(value, "numpy"):
        return facts, None
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    facts.setdefault("dtype", str(array.dtype))
    return facts, (array if array.dtype.kind in "fiub" else None)


def _skip_own_frames(trace):
    """Leave out the calls within this file, unless there is nothing else."""
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename == __file__:
        inner = inner.tb_next
    return inner or trace


def _digest_source(name):
    """Digest the Python files of the package that a module is part of, or the file of a module that is in none."""
    package = sys.modules[name.split(".")[0]]
    folders = [Path(folder) for folder in getattr(package, "__path__", [])]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    if not folders and getattr(package, "__file__", None):
        files = [Path(package.__file__)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _is_installed(package):
    return importlib.util.find_spec(package) is not None


def send(stream, header, arrays):
    """Write a message: a line of JSON with the sizes of the arrays in bytes, then the arrays as npy."""
    packed = []
    for array in arrays:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        packed.append(buffer.getbuffer())
    line = json.dumps(dict(header, bytes=[len(content) for content in packed]))
    stream.write(line.encode("utf-8") + b"\n")
    for content in packed:
        stream.write(content)
    stream.flush()


def receive(stream):
    """Read a message. Raises EOFError when the other side is gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError("no message")
    header = json.loads(line.decode("utf-8"))
    arrays = []
    for size in header.pop("bytes"):
        content = stream.read(size)
        if len(content) != size:
            raise EOFError("a message was cut short")
        arrays.append(np.load(io.BytesIO(content), allow_pickle=False))
    return header, arrays


def main():
    """Answer messages until the other side closes. What the module prints goes to standard error."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    folder = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != folder]  # the files here are not for the module to import
    module = HearModule()
    while True:
        try:
            header, arrays = receive(incoming)
        except EOFError:
            return
        send(outgoing, *module.answer(header, arrays))


if __name__ == "__main__":
    main()
