"""Pictures drawn with the finished LoRA, by the engine that will serve it."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from container.diffusers_engine.engine import DiffusersEngine
from container.diffusers_engine.models import Models
from container.serving.engine import DrawRequest
from container.serving.model_folder import read_model_folder
from container.serving.resampling import Resampling
from container.train.hyperparameters import Hyperparameters


def write_previews(folder: Path, *, base: Path, lora: Path, wanted: Hyperparameters, side: int) -> None:
    """One PNG for each of the previews' prompts, numbered; for the trigger words where none is given.

    A prompt that cannot be drawn raises as the engine does.
    """
    prompts = [line for line in (wanted.previews or wanted.trigger).splitlines() if line.strip()]
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        engine = _engine(Path(place), base=base, lora=lora)
        for number, prompt in enumerate(prompts, start=1):
            request = DrawRequest(
                prompt=f"{prompt} <lora:{lora.stem}:1>", width=side, height=side, seed=wanted.seed
            )
            picture = engine.generate(request, on_step=lambda _done, _steps: None).images[0]
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            (folder / f"{lora.stem}-{number}.png").write_bytes(file.getvalue())


def _engine(place: Path, *, base: Path, lora: Path) -> DiffusersEngine:
    for kind, path in (("Stable-diffusion", base), ("Lora", lora)):
        (place / kind).mkdir()
        (place / kind / path.name).symlink_to(path.resolve())
    folder = read_model_folder(place)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    engine = DiffusersEngine(folder, Models(folder, device=device), upscaler=Resampling())
    engine.setup()
    return engine
