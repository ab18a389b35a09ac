"""CNN14, VGGish, AST and wav2vec 2.0: counts, formulas written apart from the classes, names of the public files."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from earmark.cpu_torchaudio import torchaudio
from earmark.encoders import count_parameters, load_encoder
from earmark.encoders.ast import fit_positions, kaldi_filter_banks
from earmark.encoders.hear import encoder_input
from earmark.errors import CheckpointError, ConfigError
from earmark.files import read_yaml
from earmark.public_weights.provide import fit_tensors, provide_weights
from earmark.public_weights.read import read_tensors

# Parameters counted by hand from the layers, dimensions and millions as printed by Niizumi et al. 2023, Table III.
# AST is printed with 87.0 million; its layers have 86.2.
FULL = {
    "panns_cnn14": (79_673_792, 2048, 79.7),
    "vggish": (72_141_184, 128, 72.1),
    "vggish_4k": (72_141_184, 4096, 72.1),
    "ast": (86_187_264, 768, 86.2),
    "wav2vec2_features": (4_210_176, 512, 4.2),
    "wav2vec2_context": (315_437_696, 1024, 315.4),
}
SMALL = {
    "panns_cnn14": {"width": 1 / 16},
    "vggish": {"width": 1 / 16},
    "vggish_4k": {"width": 1 / 16},
    "ast": {"width": 1 / 6, "depth": 1 / 6},
    "wav2vec2_features": {"width": 1 / 16},
    "wav2vec2_context": {"width": 1 / 8, "depth": 1 / 12},
}


def small(slug, seed=0):
    """Build a small encoder whose parameters and statistics all differ from their initial values."""
    torch.manual_seed(seed)
    encoder = load_encoder(slug, **SMALL[slug]).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    return encoder


def noise(seconds, batch=2, seed=3):
    return torch.randn(batch, round(seconds * 16000), generator=torch.Generator().manual_seed(seed)) * 0.1


def renamed(tensors, *rules):
    """Give tensors other names by patterns in order."""
    names = {}
    for name, value in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        names[name] = value.clone()
    return names


def assert_fits(slug, tensors):
    """Assert that tensors of a file give a fresh encoder the weights of `small(slug)`."""
    fresh = small(slug, seed=1)
    fit_tensors(fresh, tensors, "public.pth")
    wanted = {name: value for name, value in small(slug).state_dict().items() if "num_batches" not in name}
    assert all(torch.equal(fresh.state_dict()[name], value) for name, value in wanted.items())
    return fresh.eval()


@pytest.mark.parametrize("slug", FULL)
def test_full_definitions_have_the_printed_size(slug):
    parameters, dim, millions = FULL[slug]
    with torch.device("meta"):
        encoder = load_encoder(slug)
    assert count_parameters(encoder) == parameters and round(parameters / 1e6, 1) == millions
    assert encoder.scene_embedding_size == encoder.timestamp_embedding_size == dim
    if slug == "panns_cnn14":
        assert parameters + 527 * (dim + 1) == 80_753_615  # Kong et al. 2020, Table I


@pytest.mark.parametrize("slug", FULL)
def test_a_clip_is_the_same_alone_and_in_a_batch(slug):
    encoder, audio = small(slug), noise(2.1, batch=3) * torch.tensor([[1.0], [0.01], [3.0]])
    together = encoder.get_scene_embeddings(audio)
    for row in range(3):
        assert_close(encoder.get_scene_embeddings(audio[row : row + 1])[0], together[row], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("slug", FULL)
def test_short_clips_equal_clips_with_zeros_at_the_end(slug):
    encoder, short = small(slug), noise(0.01)
    least = {"panns_cnn14": 5120, "vggish": 15600, "vggish_4k": 15600, "ast": 2800}.get(slug, 400)
    padded = functional.pad(short, (0, least - short.shape[1]))
    assert_close(encoder.get_scene_embeddings(short), encoder.get_scene_embeddings(padded), atol=1e-6, rtol=1e-5)


def test_transformers_is_imported_only_for_its_encoders():
    code = (
        "import sys; from earmark.encoders import encoder_slugs, load_encoder; encoder_slugs();"
        "[load_encoder(slug, width=0.05) for slug in ('panns_cnn14', 'vggish', 'vggish_4k', 'byola')];"
        "print('transformers' in sys.modules); load_encoder('wav2vec2_features', width=0.05);"
        "print('transformers' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == ["False", "True"]


@pytest.mark.parametrize("slug", FULL)
def test_random_weights_follow_the_seed_and_are_read_again(tmp_path, slug):
    files = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for file in files:
        provide_weights(slug, SMALL[slug], None, 5, file, tmp_path / "card.yaml", "code", "mini")
    first, second = (load_encoder(slug, file, **SMALL[slug]).state_dict() for file in files)
    assert first and all(torch.equal(first[name], second[name]) for name in first)
    assert read_yaml(tmp_path / "card.yaml")["weights"] == {"origin": "random", "seed": 5}


@pytest.mark.parametrize("slug", FULL)
@pytest.mark.parametrize("options", [{"width": 0}, {"width": -1.0}, {"depth": 0}])
def test_sizes_of_nothing_are_refused(slug, options):
    if "depth" in options and "depth" not in SMALL[slug]:
        pytest.skip("has no depth")
    with pytest.raises(ConfigError, match="wanted a number above 0"):
        load_encoder(slug, **options)


# CNN14


def cnn14_by_definition(tensors, log_mel):
    """Compute the embedding as the authors' class does: images of [frames, mels], normalised by band first."""

    def normalise(image, name):
        parts = (tensors[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(image, *parts)

    image = normalise(log_mel.transpose(1, 2)[:, None].transpose(1, 3), "bn0").transpose(1, 3)
    for block in range(1, 7):
        for part in (1, 2):
            image = functional.conv2d(image, tensors[f"conv_block{block}.conv{part}.weight"], padding=1)
            image = normalise(image, f"conv_block{block}.bn{part}").relu()
        image = functional.avg_pool2d(image, 2 if block < 6 else 1)
    frames = image.mean(dim=3)
    pooled = frames.amax(dim=2) + frames.mean(dim=2)
    return functional.linear(pooled, tensors["fc1.weight"], tensors["fc1.bias"]).relu()


def test_cnn14_is_its_definition():
    encoder, audio = small("panns_cnn14"), noise(2.0)
    expected = cnn14_by_definition(encoder.state_dict(), encoder_input(encoder, audio))
    assert expected.abs().max() > 0.1
    assert_close(encoder.get_scene_embeddings(audio), expected, atol=1e-4, rtol=1e-4)


def test_cnn14_takes_a_file_of_the_authors_layout(tmp_path):
    tensors = {name: value for name, value in small("panns_cnn14").state_dict().items() if "num_batches" not in name}
    others = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(257, 1, 512),
        "logmel_extractor.melW": torch.zeros(257, 64),
        "fc_audioset.weight": torch.zeros(527, 128),
    }
    content = {"iteration": 10, "model": {**others, **tensors}, "sampler": {"pointers": [0, 1]}}
    torch.save(content, tmp_path / "public.pth")
    assert_fits("panns_cnn14", read_tensors(tmp_path / "public.pth"))
    content["sampler"] = {"indexes": np.arange(3)}  # the authors' sampler keeps arrays, which torch refuses to read
    torch.save(content, tmp_path / "public.pth")
    with pytest.raises(CheckpointError, match="trusted_checkpoints"):
        read_tensors(tmp_path / "public.pth")
    assert_fits("panns_cnn14", read_tensors(tmp_path / "public.pth", is_trusted=True))


def test_weights_of_another_architecture_are_named():
    other = load_encoder("panns_cnn14", width=1 / 8).state_dict()
    with pytest.raises(
        CheckpointError, match=r"wanted \(4, 1, 3, 3\), found \(8, 1, 3, 3\); conv_block1\.conv2\.weight"
    ):
        fit_tensors(small("panns_cnn14"), other, "public.pth")
    with pytest.raises(CheckpointError, match=r"first features\.0\.weight: wanted \(4, 1, 3, 3\), the file lacks it"):
        fit_tensors(small("vggish"), other, "public.pth")


# VGGish


def vggish_by_definition(tensors, log_mel, n_layers):
    """Compute examples one after the other: images of [frames, mels], features in the order of TensorFlow."""
    embeddings = []
    for start in range(0, log_mel.shape[2] - 95, 96):
        image = log_mel[:, :, start : start + 96].transpose(1, 2)[:, None]
        for position in (0, 3, 6, 8, 11, 13):  # of the convolutions in the public class
            image = functional.conv2d(
                image, tensors[f"features.{position}.weight"], tensors[f"features.{position}.bias"], padding=1
            ).relu()
            if position in (0, 3, 8, 13):
                image = functional.max_pool2d(image, 2)
        hidden = image.permute(0, 2, 3, 1).reshape(len(image), -1)
        for position in range(0, 2 * n_layers, 2):
            hidden = functional.linear(hidden, tensors[f"fc.{position}.weight"], tensors[f"fc.{position}.bias"]).relu()
        embeddings.append(hidden)
    return torch.stack(embeddings, dim=1)


@pytest.mark.parametrize(("slug", "n_layers"), [("vggish", 3), ("vggish_4k", 1)])
def test_vggish_is_its_definition(slug, n_layers):
    encoder, audio = small(slug), noise(3.0)
    expected = vggish_by_definition(encoder.state_dict(), encoder_input(encoder, audio), n_layers)
    frames, milliseconds = encoder.get_timestamp_embeddings(audio)
    assert expected.shape[1] == 3 and expected.abs().max() > 0.01
    assert_close(frames, expected, atol=1e-5, rtol=1e-4)
    assert milliseconds.tolist() == [[480.0, 1440.0, 2400.0]] * 2
    assert_close(encoder.get_scene_embeddings(audio), expected.mean(dim=1) + expected.amax(dim=1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("slug", ["vggish", "vggish_4k"])
@pytest.mark.parametrize("port", ["fc", "embeddings"])
def test_vggish_takes_the_files_of_both_ports(slug, port):
    assert_fits(slug, renamed(small(slug).state_dict(), (r"^fc\.", f"{port}.")))


def test_vggish_4k_trains_what_its_embedding_depends_on():
    encoder = small("vggish_4k")
    unused = sum(parameter.numel() for parameter in encoder.fc[2:].parameters())
    assert sum(parameter.numel() for parameter in encoder.trainable()) == count_parameters(encoder) - unused


# AST


def authors_names(tensors):
    """Give the tensors of an encoder the names of the authors' file, and what else that file holds."""
    named = renamed(
        tensors,
        (r"^ast\.embeddings\.cls_token", "module.v.cls_token"),
        (r"^ast\.embeddings\.distillation_token", "module.v.dist_token"),
        (r"^ast\.embeddings\.position_embeddings", "module.v.pos_embed"),
        (r"^ast\.embeddings\.patch_embeddings\.projection", "module.v.patch_embed.proj"),
        (r"^ast\.layernorm", "module.v.norm"),
        (r"^ast\.layers", "module.v.blocks"),
        (r"layernorm_before", "norm1"),
        (r"layernorm_after", "norm2"),
        (r"attention\.o_proj", "attn.proj"),
    )
    for name in [name for name in named if "q_proj" in name]:
        parts = [named.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        named[name.replace("attention.q_proj", "attn.qkv")] = torch.cat(parts)
    heads = {
        f"module.{name}": torch.zeros(1000, 8) for name in ("v.head.weight", "v.head_dist.weight", "mlp_head.1.bias")
    }
    return {**named, **heads}


def ast_by_definition(tensors, filter_banks, n_heads, depth):
    """Compute the two tokens and their mean from the authors' tensors, with the positions of 10.24 s."""

    def get(name):
        return tensors[f"module.v.{name}.weight"], tensors[f"module.v.{name}.bias"]

    def normalise(hidden, name):
        return functional.layer_norm(hidden, hidden.shape[-1:], *get(name), eps=1e-6)

    patches = functional.conv2d(filter_banks[:, None], *get("patch_embed.proj"), stride=10).flatten(2).transpose(1, 2)
    first = torch.cat([tensors["module.v.cls_token"], tensors["module.v.dist_token"]], dim=1)
    hidden = torch.cat([first.expand(len(patches), -1, -1), patches], dim=1) + tensors["module.v.pos_embed"]
    for block in range(depth):
        qkv = functional.linear(normalise(hidden, f"blocks.{block}.norm1"), *get(f"blocks.{block}.attn.qkv"))
        query, key, value = qkv.unflatten(2, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(dim=3)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        hidden = hidden + functional.linear(mixed, *get(f"blocks.{block}.attn.proj"))
        inner = functional.linear(normalise(hidden, f"blocks.{block}.norm2"), *get(f"blocks.{block}.mlp.fc1"))
        hidden = hidden + functional.linear(functional.gelu(inner), *get(f"blocks.{block}.mlp.fc2"))
    return normalise(hidden, "norm")[:, :2].mean(dim=1)


def test_filter_banks_equal_kaldis():
    audio = noise(1.0, batch=3) * torch.tensor([[1.0], [0.001], [0.0]])
    expected = torch.stack(
        [
            torchaudio.compliance.kaldi.fbank(
                clip[None],
                htk_compat=True,
                sample_frequency=16000,
                use_energy=False,
                window_type="hanning",
                num_mel_bins=128,
                dither=0.0,
                frame_shift=10,
            ).T
            for clip in audio
        ]
    )
    assert_close(kaldi_filter_banks(audio), expected, atol=2e-3, rtol=0)


def test_ast_is_its_definition_and_takes_the_authors_file():
    filter_banks = torch.randn(2, 128, 1024, generator=torch.Generator().manual_seed(0))
    tensors = authors_names(small("ast").state_dict())
    encoder = assert_fits("ast", tensors)
    with torch.no_grad():
        frames = encoder.forward_frames(filter_banks)
        theirs = encoder.ast(filter_banks.transpose(1, 2))
    expected = ast_by_definition(tensors, filter_banks, n_heads=2, depth=2)
    assert_close(encoder.decision_frames(frames)[:, 0], expected, atol=1e-4, rtol=1e-4)
    assert_close(encoder.decision_frames(frames)[:, 0], theirs.pooler_output, atol=1e-5, rtol=1e-5)
    patches = theirs.last_hidden_state[:, 2:].unflatten(1, (12, 101))
    assert_close(frames[:, 1:], patches.mean(dim=1), atol=1e-5, rtol=1e-5)


def test_ast_takes_a_file_of_older_transformers():
    rules = [
        (r"^ast\.", "audio_spectrogram_transformer."),
        (r"transformer\.layers\.", "transformer.encoder.layer."),
        (r"attention\.q_proj", "attention.attention.query"),
        (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    ]
    tensors = renamed(small("ast").state_dict(), *rules)
    assert_fits("ast", {**tensors, "classifier.dense.weight": torch.zeros(527, 8)})


def test_positions_are_cut_from_the_middle_or_stretched():
    grid = torch.arange(101.0).repeat(12, 1) + 1000 * torch.arange(12.0)[:, None]
    positions = torch.cat([torch.tensor([-1.0, -2.0]), grid.flatten()])[None, :, None]  # one dimension
    for times in (1, 2, 50, 99, 100, 101):
        fitted = fit_positions(positions, times)[0, :, 0]
        assert fitted[:2].tolist() == [-1.0, -2.0]
        start = 50 - times // 2
        assert torch.equal(fitted[2:].unflatten(0, (12, times)), grid[:, start : start + times])
    stretched = fit_positions(positions, 202)[0, 2:, 0].unflatten(0, (12, 202))
    assert_close(stretched[3, 100:103], torch.tensor([3049.75, 3050.25, 3050.75]))


# wav2vec 2.0


def torchaudios_model(seed=0):
    """Build torchaudio's class with the settings of its copy of the large model, in the sizes of SMALL."""
    torch.manual_seed(seed)
    model = torchaudio.models.wav2vec2_model(
        extractor_mode="layer_norm",
        extractor_conv_layer_config=[(64, 10, 5), *[(64, 3, 2)] * 4, *[(64, 2, 2)] * 2],
        extractor_conv_bias=True,
        encoder_embed_dim=128,
        encoder_projection_dropout=0.1,
        encoder_pos_conv_kernel=128,
        encoder_pos_conv_groups=2,
        encoder_num_layers=2,
        encoder_num_heads=2,
        encoder_attention_dropout=0.1,
        encoder_ff_interm_features=512,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=True,
        encoder_layer_drop=0.0,
        aux_num_out=29,
    ).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


OLD_NAMES = (
    (r"parametrizations\.weight\.original0", "weight_g"),
    (r"parametrizations\.weight\.original1", "weight_v"),
)


@pytest.mark.parametrize("rules", [(), OLD_NAMES], ids=["present names", "names before torch 2.0"])
def test_wav2vec2_takes_torchaudios_copy_and_equals_its_model(rules):
    model, audio = torchaudios_model(), 10 * noise(1.0)  # loud, since torchaudio adds 1e-5 to the variance
    tensors = renamed(model.state_dict(), *rules)
    context = load_encoder("wav2vec2_context", **SMALL["wav2vec2_context"]).eval()
    fit_tensors(context, tensors, "public.pth")
    features = load_encoder("wav2vec2_features", width=1 / 8).eval()
    fit_tensors(features, tensors, "public.pth")
    waveform = functional.layer_norm(audio, audio.shape[-1:])
    with torch.no_grad():
        lower, _ = model.feature_extractor(waveform, None)
        upper = model.extract_features(waveform)[0][-1]
    assert lower.shape[1] == 49
    assert_close(features.get_timestamp_embeddings(audio)[0], lower, atol=1e-4, rtol=1e-4)
    assert_close(features.get_scene_embeddings(audio), lower.mean(dim=1) + lower.amax(dim=1), atol=1e-4, rtol=1e-4)
    # torchaudio's layers come out before the last normalisation, which its encoder applies
    last = model.encoder.transformer.layer_norm
    with torch.no_grad():
        upper = last(upper)
    assert_close(context.get_timestamp_embeddings(audio)[0], upper, atol=1e-4, rtol=1e-4)
    assert_close(context.get_scene_embeddings(audio), upper.mean(dim=1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["wav2vec2.", ""], ids=["with a head", "bare"])
def test_wav2vec2_takes_the_files_of_hugging_face(prefix):
    tensors = renamed(small("wav2vec2_context").state_dict(), *OLD_NAMES, (r"^wav2vec2\.", prefix))
    tensors |= {f"{prefix}masked_spec_embed": torch.zeros(128), "lm_head.weight": torch.zeros(32, 128)}
    assert_fits("wav2vec2_context", tensors)
    features = load_encoder("wav2vec2_features", width=1 / 8)
    fit_tensors(features, tensors, "public.pth")
    name = "feature_extractor.conv_layers.3.conv.weight"
    assert torch.equal(features.state_dict()[name], tensors[prefix + name])


@pytest.mark.parametrize("slug", ["wav2vec2_features", "wav2vec2_context"])
def test_wav2vec2_does_not_hear_loudness_or_offset(slug):
    encoder, audio = small(slug), noise(1.0)
    assert_close(
        encoder.get_scene_embeddings(audio), encoder.get_scene_embeddings(10 * audio + 0.2), atol=1e-3, rtol=1e-3
    )
