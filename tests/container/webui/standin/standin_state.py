"""What the stand-in has loaded and is doing: files, options, the drawing under way."""

import argparse
import hashlib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_OPTIONS = {
    "api_enable_requests": True,  # webui's own default
    "sd_model_checkpoint": None,
    "sd_vae": "Automatic",
    "CLIP_stop_at_last_layers": 1,
    "samples_save": True,
    "return_grid": True,
}


@dataclass
class Progress:
    """webui's `shared.state`."""

    job_count: int = 0
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0
    interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"skipped": False, "job": "", "job_timestamp": "0", **vars(self)}


@dataclass
class Standin:
    """One running webui. `queue_lock`: it draws one picture at a time, as webui does."""

    flags: argparse.Namespace
    queue_lock: threading.Lock = field(default_factory=threading.Lock)
    progress: Progress = field(default_factory=Progress)
    looked: threading.Condition = field(default_factory=threading.Condition)
    looks: int = 0
    loaded: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    children: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dialect: str = self.flags.standin_dialect
        self.trouble: set[str] = set(self.flags.standin_trouble)
        self.options: dict[str, Any] = dict(DEFAULT_OPTIONS)
        if self.dialect == "forge":
            self.options["forge_additional_modules"] = []
        if self.dialect == "1.5":
            del self.options["api_enable_requests"]  # came with 1.6
        self._read_settings()
        self.checkpoints = list(_files(self.flags.ckpt_dir))
        self.load(self.options["sd_model_checkpoint"] or (self.titles()[0] if self.checkpoints else ""))

    def _read_settings(self) -> None:
        file = self.flags.ui_settings_file or self.flags.data_dir / "config.json"
        if file.is_file():
            self.options |= json.loads(file.read_text(encoding="utf-8"))

    def extensions(self) -> list[str]:
        folder = self.flags.data_dir / "extensions"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def has_controlnet(self) -> bool:
        return self.dialect == "forge" or "sd-webui-controlnet" in self.extensions()

    def title(self, file: Path) -> str:
        name = file.relative_to(self.flags.ckpt_dir).as_posix()
        return name if self.flags.no_hashing else f"{name} [{sha256(file)[:10]}]"

    def titles(self) -> list[str]:
        return [self.title(file) for file in self.checkpoints]

    def find_checkpoint(self, alias: str) -> Path | None:
        """A checkpoint by one of the aliases webui knows."""
        for file in self.checkpoints:
            if alias in {self.title(file), file.stem, file.relative_to(self.flags.ckpt_dir).as_posix()}:
                return file
        return None

    def load(self, alias: str) -> None:
        """Load the checkpoint, or keep the one there is: silently, as webui does with an unknown name."""
        file = self.find_checkpoint(alias)
        if file is not None and not (self.loaded and "keeps-model" in self.trouble):
            self.loaded = file.stem
            self.options["sd_model_checkpoint"] = self.title(file)

    def names(self, folder: Path | None) -> dict[str, Path]:
        return {file.stem: file for file in _files(folder)}

    def look(self) -> None:
        """Somebody has asked for the progress."""
        with self.looked:
            self.looks += 1
            self.looked.notify_all()

    def wait_for_look(self, looks: int = 2) -> None:
        """Wait until the state was seen for sure (the first look may have begun before), or interrupted."""
        with self.looked:
            seen = self.looks
            self.looked.wait_for(lambda: self.looks >= seen + looks or self.progress.interrupted, timeout=250)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _files(folder: Path | None) -> Iterable[Path]:
    if folder is None or not folder.is_dir():
        return ()
    return sorted(
        path for path in folder.rglob("*") if path.suffix in {".safetensors", ".ckpt", ".pt", ".pth"}
    )
