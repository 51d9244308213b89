"""From a prompt to the hidden states that steer the denoiser."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from container.embedded.networks import Networks
from container.embedded.tokenizer import END, START, clip_tokenizer
from container.graphs import Array
from container.prompt_length import CHUNK, MAX_CHUNKS, length_notes
from container.prompt_weights import Piece, parse_weights


class PromptEncoder:
    """CLIP with webui's weights: chunks of 75 tokens, hidden states times their weights.

    webui then restores the mean of the states; here their strength (root mean square) is restored, since this
    small encoder's mean lies close to zero.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._tokenizer: Tokenizer = clip_tokenizer()

    def encode(self, prompt: str, *, chunks: int = 1) -> Array:
        """Hidden states (1, 77 * n, width), n being the prompt's chunks or `chunks` if that is more."""
        rows = self._rows(prompt)[:MAX_CHUNKS] or [([], [])]
        rows += [([], [])] * (chunks - len(rows))
        tokens = np.array([[START, *ids, *[END] * (CHUNK + 1 - len(ids))] for ids, _ in rows], dtype=np.int64)
        weights = np.array([[1, *w, *[1] * (CHUNK + 1 - len(w))] for _, w in rows], dtype=np.float32)
        states = _weighted(self._networks.encode_tokens(tokens), weights)
        return states.reshape(1, -1, states.shape[-1])

    def pair(self, prompt: str, negative_prompt: str) -> tuple[Array, Array]:
        """Hidden states of both prompts, of equal length."""
        positive, negative = self.encode(prompt), self.encode(negative_prompt)
        length = max(positive.shape[1], negative.shape[1]) // (CHUNK + 2)
        if positive.shape[1] == negative.shape[1]:
            return positive, negative
        return self.encode(prompt, chunks=length), self.encode(negative_prompt, chunks=length)

    def notes(self, prompt: str, *, name: str = "prompt") -> tuple[str, ...]:
        """A plain sentence about a prompt of more than one chunk."""
        rows = self._rows(prompt)
        return length_notes(name, tokens=sum(len(ids) for ids, _ in rows), chunks=len(rows))

    def _rows(self, prompt: str) -> list[tuple[list[int], list[float]]]:
        return [chunk for section in parse_weights(prompt) for chunk in self._chunks(section)]

    def _chunks(self, section: tuple[Piece, ...]) -> list[tuple[list[int], list[float]]]:
        ids: list[int] = []
        weights: list[float] = []
        for piece in section:
            found = self._tokenizer.encode(piece.text).ids
            ids += found
            weights += [piece.weight] * len(found)
        starts = range(0, max(1, len(ids)), CHUNK)
        return [(ids[start : start + CHUNK], weights[start : start + CHUNK]) for start in starts]


def _weighted(states: Array, weights: NDArray[np.float32]) -> Array:
    if (weights == 1).all():
        return states
    scaled: Array = states * weights[..., None]
    strength: NDArray[np.float32] = np.sqrt(np.square(states).mean() / max(np.square(scaled).mean(), 1e-12))
    return scaled * strength
