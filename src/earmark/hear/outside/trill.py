"""TRILL's layer 19 as a HEAR module: 12,288 dimensions a frame, 16 kHz, TensorFlow Hub.

Runs in the environment of envs/hear_trill.yaml. Sources: Shor et al. 2020 (arXiv 2002.12764); version 2 and the output
`layer19` as the authors of BYOL-A took them (EVAR, config/trill.yaml). Neither TensorFlow nor the public model was run;
the tests use packages of the same calls.
"""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import numpy as np

from earmark.errors import CheckpointError
from earmark.hear.outside import find_weights, import_original, share_times

ENVIRONMENT = "hear_trill"
SAMPLE_RATE_HZ = 16000
DIMENSIONS = 12288
OUTPUT = "layer19"
SHORTEST_SAMPLES = 16000  # a frame of TRILL looks at 0.96 s; shorter clips get zeros at the end
ARCHIVE = "trill_2.tar.gz"


def load_model(model_file_path: str = ""):
    """Load TRILL, a TensorFlow module.

    `model_file_path`: the archive that `checkpoint_trill` asks for, or the folder of its unpacked saved model. Raises
    EncoderError where TensorFlow or TensorFlow Hub is not installed, CheckpointError where there is no saved model.
    """
    tensorflow = import_original("tensorflow", ENVIRONMENT)
    hub = import_original("tensorflow_hub", ENVIRONMENT)

    class Trill(tensorflow.Module):  # made here, since its base is there in that environment alone
        """Hold the saved model and the folder in which it was unpacked."""

        sample_rate = SAMPLE_RATE_HZ
        scene_embedding_size = DIMENSIONS
        timestamp_embedding_size = DIMENSIONS

    model, folder = Trill(), Path(model_file_path or "data/checkpoints/trill")
    if not (folder / "saved_model.pb").is_file():
        model.unpacked = tempfile.TemporaryDirectory()
        folder = Path(model.unpacked.name)
        unpack(find_weights(model_file_path, "trill", ARCHIVE), folder)
    model.saved = hub.load(str(folder))
    model.to_tensor = tensorflow.convert_to_tensor
    return model


def get_scene_embeddings(audio, model):
    """Encode [batch, samples] at 16 kHz as [batch, 12288]: mean over time and maximum over time, added."""
    frames = _encode(audio, model)
    return model.to_tensor(frames.mean(axis=1) + frames.max(axis=1))


def get_timestamp_embeddings(audio, model):
    """Encode [batch, samples] at 16 kHz as ([batch, frames, 12288], milliseconds [batch, frames]).

    A time is the middle of an equal share of the clip.
    """
    frames = _encode(audio, model)
    times = share_times(frames.shape[1], audio.shape[1], SAMPLE_RATE_HZ)
    return model.to_tensor(frames), model.to_tensor(np.tile(times, (len(frames), 1)))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a saved model. Raises CheckpointError for a member that lies outside or is a link, or without a model."""
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts or not (member.isfile() or member.isdir()):
                    raise CheckpointError(f"{archive} holds {member.name}, which is no plain file in it; not unpacked.")
                if member.isfile():
                    target = folder / place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(opened.extractfile(member).read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CheckpointError(f"{archive} cannot be unpacked ({error}). Delete it and place it again.") from error
    if not (folder / "saved_model.pb").is_file():
        raise CheckpointError(f"{archive} has no saved_model.pb at its top; wanted TRILL as TensorFlow Hub packs it.")


def _encode(audio, model) -> np.ndarray:
    """Encode a tensor of TensorFlow [batch, samples] as float32 [batch, frames, 12288]."""
    sound = audio.numpy()
    missing = max(0, SHORTEST_SAMPLES - sound.shape[1])
    samples = model.to_tensor(np.pad(sound, ((0, 0), (0, missing))))
    return model.saved(samples=samples, sample_rate=SAMPLE_RATE_HZ)[OUTPUT].numpy()
