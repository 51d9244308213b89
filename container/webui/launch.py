"""How webui is started: its flags, its options, its environment, its own folder for what it writes."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from container.webui.settings import WebuiSettings

LEASH = Path(__file__).with_name("leash.py")

OPTIONS: Mapping[str, Any] = {
    "api_enable_requests": False,  # pictures come inside a request, never from a URL
    "api_forbid_local_requests": True,
    "samples_save": False,
    "grid_save": False,
    "return_grid": False,
    "save_images_before_highres_fix": False,
    "save_init_img": False,
    "show_progress_every_n_steps": -1,
    "live_previews_enable": False,
    "control_net_no_detectmap": True,
    "sd_checkpoints_limit": 1,
    "samples_format": "png",
    "enable_pnginfo": False,
    "add_model_name_to_info": True,
    "add_model_hash_to_info": True,
    "sd_vae": "Automatic",
    "CLIP_stop_at_last_layers": 1,
}
"""What webui is set to before it starts; a request changes three of them for its own duration only."""

SAFE_FLAGS: Mapping[str, bool] = {
    "api": True,
    "nowebui": True,
    "listen": False,
    "share": False,
    "allow_code": False,
    "disable_safe_unpickle": False,
    "enable_insecure_extension_access": False,
    "api_log": False,
    "api_server_stop": False,
}
"""What webui must say of its own flags before it is sent anything."""

_CONTROLNET = "sd-webui-controlnet"

_MODEL_FLAGS = {
    "--ckpt-dir": ("Stable-diffusion",),
    "--vae-dir": ("VAE", "Vae"),
    "--lora-dir": ("Lora",),
    "--embeddings-dir": ("embeddings",),
    "--esrgan-models-path": ("ESRGAN",),
    "--controlnet-dir": ("ControlNet",),
}


def command(settings: WebuiSettings, *, port: int, models: Path | None, home: Path) -> list[str]:
    """The command line: webui on the leash, on loopback, without its pages, reading models in place."""
    return [
        sys.executable,
        "-I",
        str(LEASH),
        settings.python,
        str(settings.source / "launch.py"),
        *("--api", "--nowebui", "--server-name", "127.0.0.1", "--port", str(port)),
        *("--skip-prepare-environment", "--skip-install", "--skip-python-version-check"),
        *("--skip-torch-cuda-test", "--skip-version-check"),
        # Hashing a model of gigabytes would hold up every start; the catalogue beside the models has hashes.
        *("--no-download-sd-model", "--no-hashing", "--disable-console-progressbars"),
        *("--data-dir", str(home), "--ui-settings-file", str(home / "config.json")),
        *_model_flags(models),
        *settings.flags,
    ]


def environment(settings: WebuiSettings, *, home: Path) -> dict[str, str]:
    """What webui's process sees: no credentials, no hub, nothing written beside its code.

    IGNORE_CMD_ARGS_ERRORS is webui's own: older ones do not know every flag above. Those that matter for
    safety are asked for again once it runs (`SAFE_FLAGS`).
    """
    return {
        **settings.environment,
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "IGNORE_CMD_ARGS_ERRORS": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


def prepare_home(home: Path, *, source: Path, checkpoint: str | None) -> None:
    """Write webui's options into its folder, and link ControlNet there: the one extension it shall find."""
    options = {**OPTIONS, **({"sd_model_checkpoint": checkpoint} if checkpoint else {})}
    (home / "config.json").write_text(json.dumps(options), encoding="utf-8")
    extension = source / "extensions" / _CONTROLNET
    link = home / "extensions" / _CONTROLNET
    link.parent.mkdir(exist_ok=True)
    if extension.is_dir() and not link.is_symlink():
        link.symlink_to(extension, target_is_directory=True)


def _model_flags(models: Path | None) -> list[str]:
    """The folders that exist, each by its flag."""
    if models is None:
        return []
    found = (
        (flag, next((models / name for name in names if (models / name).is_dir()), None))
        for flag, names in _MODEL_FLAGS.items()
    )
    return [part for flag, place in found if place for part in (flag, str(place))]
