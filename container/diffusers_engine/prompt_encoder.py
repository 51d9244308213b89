"""From prompts to the conditioning of a denoiser, as stable-diffusion-webui reads them.

CLIP takes 77 tokens; longer prompts are cut into chunks of 75 whose states are joined. A word's weight scales
its states, after which the mean of the chunk's states is restored. diffusers' own encoders know neither, its
`clip_skip` fails with current transformers, and compel reads `(cat:1.3)` as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from container.diffusers_engine.loaded_model import Architecture, Embeddings, LoadedModel
from container.prompt_length import CHUNK, MAX_CHUNKS, length_notes
from container.prompt_weights import Piece, parse_weights

_START, _END, _COMMA = 49_406, 49_407, 267
_COMMA_WITHIN = 20
"""A chunk that is full ends at its last comma, if that is among its last 20 tokens (webui's default)."""


_LEAST_MEAN = 1e-3
"""Of the root mean square; a smaller mean is taken for zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What a denoiser is told about one prompt.

    `states`: (1, 77 * chunks, width). `pooled`: (1, width) where the architecture has it.
    """

    states: torch.Tensor
    pooled: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class _Token:
    """A token of the vocabulary, or vector number `vector` of a textual inversion."""

    id: int
    weight: float
    word: str = ""
    vector: int = 0


_Chunk = Sequence[_Token]


class PromptEncoder:
    """Encodes prompts with a model's text encoders, in which `embeddings`' words stand for their vectors."""

    def __init__(self, model: LoadedModel, embeddings: Embeddings, *, clip_skip: int = 1) -> None:
        self._model = model
        self._vectors = {word.lower(): vectors for word, vectors in embeddings.vectors.items()}
        self._known = _words_pattern(embeddings.vectors)
        self._unusable = {word.lower(): reason for word, reason in embeddings.unusable.items()}
        self._clip_skip = clip_skip
        self._is_xl = model.architecture in (Architecture.SDXL, Architecture.SDXL_REFINER)

    @property
    def has_fixed_layer(self) -> bool:
        """Whether `clip_skip` has no effect: SDXL was trained on the last layer but one."""
        return self._is_xl

    def encode(self, prompt: str) -> Conditioning:
        """The prompt's conditioning; it must hold no `<lora:…>`."""
        chunks = self._chunks(prompt)[:MAX_CHUNKS]
        encoders = zip(self._model.text_encoders, self._model.tokenizers, strict=True)
        with torch.inference_mode():
            encoded = [
                self._encode(place, encoder, int(tokenizer.pad_token_id), chunks)
                for place, (encoder, tokenizer) in enumerate(encoders)
            ]
        states = torch.cat([states for states, _ in encoded], dim=-1)
        pooled = encoded[-1][1]
        return Conditioning(states=states.reshape(1, -1, states.shape[-1]), pooled=pooled)

    def encode_negative(self, prompt: str) -> Conditioning:
        """As `encode`; an empty negative prompt of SDXL is zeros, as it was trained."""
        encoded = self.encode(prompt)
        if prompt or self._model.architecture is not Architecture.SDXL:
            return encoded
        assert encoded.pooled is not None
        return Conditioning(states=torch.zeros_like(encoded.states), pooled=torch.zeros_like(encoded.pooled))

    def notes(self, prompt: str, *, name: str = "prompt") -> tuple[str, ...]:
        """Plain sentences about what in a prompt has no effect, and about its length."""
        found = dict.fromkeys(
            self._unusable[word[0].lower()] for word in _words_pattern(self._unusable).finditer(prompt)
        )
        chunks = self._chunks(prompt)
        return (*found, *length_notes(name, tokens=sum(map(len, chunks)), chunks=len(chunks)))

    def _chunks(self, prompt: str) -> list[_Chunk]:
        sections = [
            [token for piece in section for token in self._tokens(piece)] for section in parse_weights(prompt)
        ]
        return [chunk for section in sections for chunk in _cut(section)]

    def _tokens(self, piece: Piece) -> list[_Token]:
        tokens: list[_Token] = []
        end = 0
        for match in self._known.finditer(piece.text):
            tokens += self._plain(piece.text[end : match.start()], piece.weight)
            word = match[0].lower()
            count = len(self._vectors[word][0])
            tokens += [_Token(0, piece.weight, word, vector) for vector in range(count)]
            end = match.end()
        return tokens + self._plain(piece.text[end:], piece.weight)

    def _plain(self, text: str, weight: float) -> list[_Token]:
        ids = self._model.tokenizers[0](text, add_special_tokens=False, verbose=False).input_ids
        return [_Token(token, weight) for token in ids]

    def _encode(
        self, place: int, encoder: Any, pad: int, chunks: Sequence[_Chunk]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weighted states (chunks, 77, width) of one encoder, and the first chunk's pooled state."""
        rows = [
            [_START, *(token.id for token in chunk), _END, *[pad] * (CHUNK - len(chunk))] for chunk in chunks
        ]
        learned = {
            (row, column): self._vectors[token.word][place][token.vector]
            for row, chunk in enumerate(chunks)
            for column, token in enumerate(chunk, start=1)
            if token.word
        }
        with _learned(encoder, learned):
            tokens = torch.tensor(rows, device=self._model.device)
            output = encoder(tokens, output_hidden_states=True)
        states = self._layer(encoder, output.hidden_states)
        pooled = _pooled(encoder, output.hidden_states[-1], end=len(chunks[0]) + 1) if self._is_xl else None
        return torch.stack([_weighted(*pair) for pair in zip(states, chunks, strict=True)]), pooled

    def _layer(self, encoder: Any, hidden_states: Sequence[torch.Tensor]) -> torch.Tensor:
        """The layer that is asked for; SDXL was trained on the last but one, whatever is asked for."""
        if self._is_xl:
            return hidden_states[-2]
        depth = min(self._clip_skip, len(hidden_states) - 1)
        normed: torch.Tensor = _text_model(encoder).final_layer_norm(hidden_states[-depth])
        return normed


def _cut(tokens: Sequence[_Token]) -> list[_Chunk]:
    """Chunks of up to 75 tokens, at least one."""
    chunks: list[_Chunk] = []
    rest = list(tokens)
    while len(rest) > CHUNK:
        commas = [place for place in range(CHUNK - _COMMA_WITHIN, CHUNK) if rest[place].id == _COMMA]
        end = commas[-1] + 1 if commas else CHUNK
        chunks.append(rest[:end])
        rest = rest[end:]
    return [*chunks, rest]


def _weighted(states: torch.Tensor, chunk: _Chunk) -> torch.Tensor:
    """The chunk's states (77, width) times its tokens' weights, their mean restored as in webui.

    Where the mean is no measure of strength, the root mean square is restored instead: with a mean near zero
    webui's way multiplies by chance.
    """
    if all(token.weight == 1 for token in chunk):
        return states
    weights = torch.ones(CHUNK + 2, device=states.device)
    weights[1 : len(chunk) + 1] = torch.tensor([token.weight for token in chunk])
    plain = states.float()
    scaled = plain * weights[:, None]
    strength = float(plain.square().mean().sqrt())
    means = float(plain.mean()), float(scaled.mean())
    if min(map(abs, means)) > _LEAST_MEAN * strength and 0.5 < means[0] / means[1] < 2:
        ratio = means[0] / means[1]
    else:
        ratio = strength / max(float(scaled.square().mean().sqrt()), 1e-6)
    return (scaled * ratio).to(states.dtype)


def _pooled(encoder: Any, last: torch.Tensor, *, end: int) -> torch.Tensor | None:
    """The projected state of the first chunk's end mark."""
    if not hasattr(encoder, "text_projection"):
        return None
    projected: torch.Tensor = encoder.text_projection(_text_model(encoder).final_layer_norm(last[:1, end]))
    return projected


def _text_model(encoder: Any) -> Any:
    return getattr(encoder, "text_model", encoder)


@contextmanager
def _learned(encoder: Any, vectors: dict[tuple[int, int], torch.Tensor]) -> Iterator[None]:
    """Put the vectors in place of what the token table answers at (row, column)."""

    def replaced(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        for place, vector in vectors.items():
            output[place] = vector.to(output)
        return output

    hook = encoder.get_input_embeddings().register_forward_hook(replaced)
    try:
        yield
    finally:
        hook.remove()


def _words_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the words as a whole word, the longest first, in any case; of none, nothing."""
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w-])" if alternatives else r"(?!)", re.IGNORECASE)
