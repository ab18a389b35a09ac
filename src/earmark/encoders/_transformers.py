"""What the encoders from the package transformers share.

That package imports torchaudio, which beside a CPU build of torch works only after `earmark.cpu_torchaudio`.
"""

import earmark.cpu_torchaudio  # noqa: F401

HEAD_DIM = 64  # of both AST and wav2vec 2.0


def scale_hidden(heads: int, width: float) -> tuple[int, int]:
    """Scale the width of a transformer whose heads have 64 dimensions; return (heads, dimensions).

    Whole heads are kept, one at least; under one head its dimensions shrink in steps of 8.
    """
    if heads * width < 1:
        return 1, max(8, 8 * round(HEAD_DIM * heads * width / 8))
    kept = round(heads * width)
    return kept, HEAD_DIM * kept


def scale_depth(layers: int, depth: float) -> int:
    """Scale a number of layers, one at least."""
    return max(1, round(layers * depth))
