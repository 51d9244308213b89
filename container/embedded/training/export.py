"""From trained networks to the files the engine reads: weights, graphs without weights, a vocabulary."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from diffusers import AutoencoderKL
from onnx import TensorProto
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from container.embedded.training.detail import DetailDecoder
from container.embedded.training.layout import text_key, unet_key, vae_key
from container.embedded.training.scenes import (
    ADJECTIVES,
    COLOURS,
    COUNT_WORDS,
    FILLER_WORDS,
    PREFIXES,
    STYLE_WORDS,
    plural,
)
from container.embedded.training.thing import Thing
from container.embedded.training.unet import TEXT_WIDTH, UNET_LAYERS, TextToLatent, Vocabulary
from container.embedded.training.upscaler import Compact

CLIP_TOKENS = 49_408
OPSET = 17
THUMBNAIL_STYLES = ("noto", "3d")
THUMBNAIL_SIDE, THUMBNAIL_COLUMNS = 16, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What the stages trained."""

    vae: AutoencoderKL
    detail: DetailDecoder
    model: TextToLatent
    vocabulary: Vocabulary


def export_model(things: tuple[Thing, ...], trained: Trained, *, out: Path) -> None:
    """Write the weights, the graphs, the vocabulary and the thumbnails into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    text = _with_whole_table(trained.model.text, trained.vocabulary)
    modules = {"text": text.eval(), "unet": trained.model.unet.eval(), "vae": trained.vae.eval()}
    save_file(single_file(modules), out / "model.safetensors", metadata={"format": "pt"})
    detail = {f"detail.{key}": value.half() for key, value in trained.detail.state_dict().items()}
    save_file(detail, out / "detail.safetensors", metadata={"format": "pt"})
    for file in out.glob("*.safetensors"):
        file.chmod(0o644)
    _export_graphs({**modules, "detail": trained.detail.eval()}, _graphs, out)
    thumbnail_sheet(things).save(out / "thumbnails.webp", quality=90, method=6, exact=True)
    (out / "vocabulary.json").write_text(json.dumps(known_words(things), indent=1, ensure_ascii=False) + "\n")


def export_upscaler(network: Compact, *, out: Path) -> None:
    """Write the upscaler's weights, under the names its architecture has everywhere, and its graph."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    save_file(weights, out / "tiny_4x.safetensors", metadata={"format": "pt"})
    (out / "tiny_4x.safetensors").chmod(0o644)
    _export_graphs({"upscaler": network.eval()}, _upscaler_graph, out)


def single_file(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """All tensors under Stable Diffusion 1.x's names, in half precision."""
    tensors = {}
    for part, module in modules.items():
        for key, value in module.state_dict().items():
            name = ldm_key(part, key)
            tensors[name] = _as_ldm(name, value).half().contiguous()
    return dict(sorted(tensors.items()))


def known_words(things: tuple[Thing, ...]) -> dict[str, object]:
    """What the model was taught: names with aliases, colours, styles, and the other words of its captions."""
    names = {thing.name: list(thing.aliases) for thing in things}
    phrases = [
        *PREFIXES,
        *ADJECTIVES,
        *FILLER_WORDS,
        *COUNT_WORDS.values(),
        "a an and on background style of",
    ]
    every = [name for thing in things for name in (thing.name, *thing.aliases)]
    nouns = [*every, *(plural(name) for name in every)]
    words = {word for phrase in [*phrases, *nouns] for word in phrase.split()}
    styles = {style: list(words) for style, words in STYLE_WORDS.items()}
    return {"things": names, "colours": list(COLOURS), "styles": styles, "words": sorted(words)}


def thumbnail_sheet(things: tuple[Thing, ...]) -> Image.Image:
    """Every thing in every style as a square thumbnail with alpha, cut to its outline, row by row."""
    cells = [_thumbnail(thing.pictures[style]) for thing in things for style in THUMBNAIL_STYLES]
    rows = -(-len(cells) // THUMBNAIL_COLUMNS)
    sheet = Image.new("RGBA", (THUMBNAIL_COLUMNS * THUMBNAIL_SIDE, rows * THUMBNAIL_SIDE))
    for index, cell in enumerate(cells):
        row, column = divmod(index, THUMBNAIL_COLUMNS)
        sheet.paste(cell, (column * THUMBNAIL_SIDE, row * THUMBNAIL_SIDE))
    return sheet


def _thumbnail(picture: Image.Image) -> Image.Image:
    outline = picture.getchannel("A").point(lambda alpha: 255 if alpha > 40 else 0).getbbox()
    cut = picture.crop(outline)
    square = Image.new("RGBA", (max(cut.size), max(cut.size)))
    square.paste(cut, ((square.width - cut.width) // 2, (square.height - cut.height) // 2))
    return square.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)


def ldm_key(part: str, key: str) -> str:
    """The exported name of a tensor of the part "text", "unet", "vae", "detail" or "upscaler"."""
    if part == "detail":
        return f"detail.{key}"
    if part == "upscaler":
        return key
    if part == "unet":
        return unet_key(key, layers=UNET_LAYERS)
    return vae_key(key) if part == "vae" else text_key(key)


def _as_ldm(name: str, value: Tensor) -> Tensor:
    is_attention = ".mid.attn_1." in name and name.endswith("weight") and ".norm." not in name
    return value[:, :, None, None] if is_attention else value


@torch.no_grad()
def _with_whole_table(text: CLIPTextModel, vocabulary: Vocabulary) -> CLIPTextModel:
    """The text encoder with CLIP's whole table: tokens no caption used share the row of unknown words."""
    config = text.config
    config.vocab_size = CLIP_TOKENS
    config.bos_token_id, config.eos_token_id = CLIP_TOKENS - 2, CLIP_TOKENS - 1
    config._attn_implementation = "eager"  # noqa: SLF001 (the exporter knows no fused attention)
    whole = CLIPTextModel(config)
    trained = text.state_dict()
    compact = trained.pop("embeddings.token_embedding.weight")
    whole.load_state_dict(trained, strict=False)
    table = compact[0].repeat(CLIP_TOKENS, 1)
    table[list(vocabulary.token_ids[1:])] = compact[1:]
    whole.embeddings.token_embedding.weight.copy_(table)
    return whole


class _Call(nn.Module):
    """A module whose forward is any function of it, under the part's name."""

    def __init__(self, part: str, module: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.add_module(part, module)
        self._function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._function(*inputs)


@dataclass(frozen=True, slots=True)
class _Graph:
    """A graph file: the part whose weights it uses, what it computes, and example inputs, the first like the
    output.
    """

    name: str
    part: str
    function: Callable[..., Tensor]
    inputs: dict[str, Tensor]
    free_axes: dict[str, dict[int, str]]


def _export_graphs(
    modules: dict[str, nn.Module], graphs: Callable[[dict[str, nn.Module]], tuple[_Graph, ...]], out: Path
) -> None:
    """Write the graphs, traced over copies with random weights, since equal weights would be merged."""
    modules = {part: copy.deepcopy(module) for part, module in modules.items()}
    for module in modules.values():
        for weight in module.parameters():
            nn.init.normal_(weight, std=0.02)
    for graph in graphs(modules):
        path = out / f"{graph.name}.onnx"
        names = list(graph.inputs)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Call(graph.part, modules[graph.part], graph.function),
                tuple(graph.inputs.values()),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                do_constant_folding=False,
                input_names=names,
                output_names=["output"],
                dynamic_axes={**graph.free_axes, "output": graph.free_axes[names[0]]},
            )
        _drop_weights(path, graph.part, set(modules[graph.part].state_dict()))


def _graphs(modules: dict[str, nn.Module]) -> tuple[_Graph, ...]:
    text, unet, vae, detail = (modules[part] for part in ("text", "unet", "vae", "detail"))
    latents = torch.randn(2, 4, 6, 11)
    tokens = torch.randint(0, CLIP_TOKENS, (2, 77))
    steps, context = torch.tensor([3.0, 5.0]), torch.randn(2, 77, TEXT_WIDTH)
    batch, space = {0: "batch"}, {0: "batch", 2: "height", 3: "width"}
    return (
        _Graph(
            "text_encoder",
            "text",
            lambda ids: text(ids).last_hidden_state,
            {"tokens": tokens},
            {"tokens": batch},
        ),
        _Graph(
            "unet",
            "unet",
            lambda x, t, c: unet(x, t, c, return_dict=False)[0],
            {"sample": latents, "timestep": steps, "context": context},
            {"sample": space, "timestep": batch, "context": {0: "batch", 1: "tokens"}},
        ),
        _Graph("detail_decoder", "detail", detail, {"latents": latents}, {"latents": space}),
        _Graph(
            "vae_encoder",
            "vae",
            lambda x: vae.encode(x).latent_dist.mean,
            {"pictures": torch.randn(2, 3, 48, 88)},
            {"pictures": space},
        ),
    )


def _upscaler_graph(modules: dict[str, nn.Module]) -> tuple[_Graph, ...]:
    space = {0: "batch", 2: "height", 3: "width"}
    pictures = {"pictures": torch.rand(2, 3, 16, 24)}
    return (_Graph("tiny_4x", "upscaler", modules["upscaler"], pictures, {"pictures": space}),)


def _drop_weights(path: Path, part: str, keys: set[str]) -> None:
    """Turn every trained initializer into a reference, by its LDM name, to data supplied at load."""
    graph_file = onnx.load(str(path))
    graph = graph_file.graph
    renamed = {}
    for initializer in graph.initializer:
        key = initializer.name.removeprefix(f"{part}.")
        if key not in keys:
            continue
        renamed[initializer.name] = ldm_key(part, key)
        length = len(initializer.raw_data)
        initializer.name = renamed[initializer.name]
        initializer.ClearField("raw_data")
        initializer.data_location = TensorProto.EXTERNAL
        for field, value in (("location", "weights"), ("offset", "0"), ("length", str(length))):
            initializer.external_data.add(key=field, value=value)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    path.write_bytes(graph_file.SerializeToString())
