"""Textual inversions: vectors that stand for a word, the file's stem, in each of a model's text encoders.

Read are webui's `.pt` (`string_to_param`), its safetensors form (`emb_params`), SDXL's pair (`clip_l`,
`clip_g`) and diffusers' single tensor under the word itself.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

import torch

from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.loaded_model import Embeddings, LoadedModel
from container.diffusers_engine.tensor_files import TensorFile, open_tensors
from container.serving.model_folder import ModelFile

_MOST_VECTORS = 1024
_PLAIN_ENDS = ("emb_params", "string_to_param.*")


def read_embeddings(files: Iterable[ModelFile], model: LoadedModel, *, allow_pickle: bool) -> Embeddings:
    """Those that fit the model. A file that does not fit is listed with the reason, and stops nobody."""
    vectors: dict[str, tuple[torch.Tensor, ...]] = {}
    unusable: dict[str, str] = {}
    for file in files:
        word = PurePosixPath(file.model.name).stem
        try:
            vectors[word] = _vectors(open_tensors(file, allow_pickle=allow_pickle), model)
        except UnusableFile as reason:
            unusable[word] = reason.message
    return Embeddings(vectors=vectors, unusable=unusable)


def widths_of(model: LoadedModel) -> tuple[int, ...]:
    """How long a token's vector is in each text encoder."""
    return tuple(encoder.config.hidden_size for encoder in model.text_encoders)


def _vectors(file: TensorFile, model: LoadedModel) -> tuple[torch.Tensor, ...]:
    widths = widths_of(model)
    names = _names(file, len(widths))
    shapes = [_as_matrix(file.shapes[name]) for name in names]
    if any(len(shape) != 2 or not 1 <= shape[0] <= _MOST_VECTORS for shape in shapes):
        raise UnusableFile(file.name, "it is no textual inversion")
    found = tuple(width for _, width in shapes)
    if found != widths:
        raise UnusableFile(
            file.name,
            f"its vectors have {_listed(found)} values, {model.name!r}, {model.architecture}, takes"
            f" {_listed(widths)}",
        )
    matrices = (file.tensor(name).reshape(shape) for name, shape in zip(names, shapes, strict=True))
    return tuple(matrix.to(torch.float32) for matrix in matrices)


def _names(file: TensorFile, encoders: int) -> list[str]:
    """The tensors for the text encoders, in the encoders' order."""
    if {"clip_l", "clip_g"} <= set(file.shapes):
        return ["clip_l", "clip_g"] if encoders == 2 else ["clip_g"]
    plain = [name for name in file.shapes if name in _PLAIN_ENDS]
    if plain or len(file.shapes) == 1:
        return plain[:1] or list(file.shapes)
    raise UnusableFile(file.name, "it is no textual inversion")


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *shape) if len(shape) == 1 else shape


def _listed(numbers: tuple[int, ...]) -> str:
    return " and ".join(map(str, numbers))
