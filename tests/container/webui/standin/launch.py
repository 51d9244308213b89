"""A stand-in for stable-diffusion-webui's `--api`, for tests: started like webui, answering like webui.

    python launch.py --api --nowebui --port 7861 --ckpt-dir DIR … [--standin-dialect D] [--standin-trouble T]

It knows three generations: `1.5` (schedules inside sampler names), `1.10` and `forge`. It draws coloured
rectangles that are a pure function of the request. Built from the routes, fields, defaults and error bodies
in stable-diffusion-webui's `modules/api` and Forge's; it holds none of their code, and needs the standard
library only, so that it runs wherever a Python is.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from standin_api import serve
from standin_state import Standin


def main() -> None:
    flags = _flags()
    print(f"Launching API server with arguments: {' '.join(sys.argv[1:])}", flush=True)
    if "dies-at-start" in flags.standin_trouble:
        print("RuntimeError: Torch is not able to use GPU", flush=True)
        sys.exit(1)
    serve(Standin(flags))


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("api", "nowebui", "listen", "share", "allow-code", "disable-safe-unpickle", "api-log",
                 "enable-insecure-extension-access", "api-server-stop", "skip-install", "no-hashing",
                 "skip-torch-cuda-test", "no-download-sd-model", "disable-console-progressbars",
                 "skip-version-check", "skip-python-version-check"):  # fmt: skip
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("ckpt-dir", "vae-dir", "lora-dir", "embeddings-dir", "esrgan-models-path", "controlnet-dir"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--data-dir", type=Path, default=Path(__file__).parent)
    parser.add_argument("--ui-settings-file", type=Path)
    parser.add_argument("--port", type=int, default=7861)
    parser.add_argument("--server-name", default="127.0.0.1")
    parser.add_argument("--standin-dialect", choices=("1.5", "1.10", "forge"), default="1.10")
    parser.add_argument("--standin-trouble", action="append", default=[])
    if os.environ.get("IGNORE_CMD_ARGS_ERRORS"):
        return parser.parse_known_args()[0]
    return parser.parse_args()


if __name__ == "__main__":
    main()
