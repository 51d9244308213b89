"""The low-rank change of a UNet that is trained, and the file it becomes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional


class LowRank(nn.Module):  # type: ignore[misc] # torch is Any to the type checker
    """Adds `up @ down * alpha / rank` to a frozen linear layer. It begins as no change at all."""

    def __init__(self, layer: nn.Linear, *, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = layer
        self.rank = min(rank, layer.in_features, layer.out_features)
        self.alpha = alpha
        device = layer.weight.device
        drawn = torch.randn((self.rank, layer.in_features), generator=generator) / self.rank
        self.down = nn.Parameter(drawn.to(device))
        self.up = nn.Parameter(torch.zeros((layer.out_features, self.rank), device=device))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        changed = functional.linear(
            functional.linear(states, self.down.to(states.dtype)), self.up.to(states.dtype)
        )
        frozen: torch.Tensor = self.layer(states)
        return frozen + changed * (self.alpha / self.rank)


class Adapter:
    """Every attention block's linear layers of a UNet, each with its low-rank change."""

    def __init__(self, unet: nn.Module, *, rank: int, alpha: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.changes: dict[str, LowRank] = {}
        for path, layer in list(_linear_layers(unet)):
            change = LowRank(layer, rank=rank, alpha=alpha, generator=generator)
            self.changes[path] = change
            parent, _, name = path.rpartition(".")
            setattr(unet.get_submodule(parent), name, change)

    def parameters(self) -> list[nn.Parameter]:
        return [part for change in self.changes.values() for part in (change.down, change.up)]

    def state(self) -> dict[str, torch.Tensor]:
        """What kohya's trainer calls each part; float32 on the CPU."""
        return dict(self._parts())

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the values `state` gave before."""
        with torch.no_grad():
            for path, change in self.changes.items():
                name = _kohya(path)
                change.down.copy_(state[f"{name}.lora_down.weight"])
                change.up.copy_(state[f"{name}.lora_up.weight"])

    def _parts(self) -> Iterator[tuple[str, torch.Tensor]]:
        for path, change in self.changes.items():
            name = _kohya(path)
            yield f"{name}.lora_down.weight", change.down.detach().float().cpu().clone()
            yield f"{name}.lora_up.weight", change.up.detach().float().cpu().clone()
            yield f"{name}.alpha", torch.tensor(change.alpha)


def write_lora(file: Path, state: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """In half precision, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    save_file({name: tensor.half() for name, tensor in state.items()}, unfinished, metadata=dict(metadata))
    unfinished.replace(file)


def _linear_layers(unet: nn.Module) -> Iterator[tuple[str, Any]]:
    for path, module in unet.named_modules():
        if isinstance(module, nn.Linear) and ".attentions." in path:
            yield path, module


def _kohya(path: str) -> str:
    return f"lora_unet_{path.replace('.', '_')}"
