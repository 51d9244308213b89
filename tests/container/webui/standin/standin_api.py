"""The routes of webui's API, and the troubles a test can ask for."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import standin_png
from standin_drawing import draw, samplers
from standin_errors import Refused, validated
from standin_state import Standin, sha256

LABELS = ("Automatic", "Uniform", "Karras", "Exponential", "SGM Uniform", "Simple", "Beta")


def serve(standin: Standin) -> None:
    """Answer until the process ends."""
    if "leaves-children" in standin.trouble:
        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
        standin.children.append(subprocess.Popen([sys.executable, "-c", deaf]).pid)
    if "never-ready" in standin.trouble:
        print("Downloading: 1%", flush=True)
        threading.Event().wait()
    server = ThreadingHTTPServer((standin.flags.server_name, standin.flags.port), _handler(standin))
    server.daemon_threads = True
    server.serve_forever(poll_interval=0.05)


def _handler(standin: Standin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(_gets(standin))

        def do_POST(self) -> None:
            self._answer(_posts(standin))

        def _answer(self, routes: dict[str, Callable[[dict[str, Any]], Any]]) -> None:
            path = self.path.partition("?")[0]
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            if path not in routes:
                self._write(404, {"detail": "Not Found"})
                return
            try:
                self._write(200, routes[path](json.loads(raw) if raw else {}))
            except Refused as refused:
                self._write(refused.status, refused.body)
            except Exception as error:  # noqa: BLE001 (as webui's exception_handling middleware)
                body = {"error": type(error).__name__, "detail": "", "body": "", "errors": str(error)}
                self._write(500, body)

        def _write(self, status: int, body: Any) -> None:
            html = isinstance(body, bytes)
            content = body if html else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if html else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _gets(standin: Standin) -> dict[str, Callable[[dict[str, Any]], Any]]:
    routes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "/sdapi/v1/options": lambda _: standin.options,
        "/sdapi/v1/cmd-flags": lambda _: {
            name: str(value) if hasattr(value, "parts") else value
            for name, value in vars(standin.flags).items()
        },
        "/sdapi/v1/progress": lambda _: _progress(standin),
        "/sdapi/v1/sd-models": lambda _: _sd_models(standin),
        "/sdapi/v1/samplers": lambda _: [
            {"name": name, "aliases": [], "options": {}} for name in samplers(standin.dialect)
        ],
        "/sdapi/v1/upscalers": lambda _: _upscalers(standin),
        "/sdapi/v1/loras": lambda _: [
            {"name": name, "alias": name, "path": str(path), "metadata": {}}
            for name, path in standin.names(standin.flags.lora_dir).items()
        ],
        "/sdapi/v1/embeddings": lambda _: {
            "loaded": {name: {} for name in standin.names(standin.flags.embeddings_dir)},
            "skipped": {},
        },
        "/standin/requests": lambda _: standin.requests,
        "/standin/processes": lambda _: [os.getpid(), *standin.children],
        "/standin/extensions": lambda _: standin.extensions(),
    }
    if standin.dialect != "1.5":
        routes["/sdapi/v1/schedulers"] = lambda _: [
            {"name": label.lower(), "label": label, "aliases": None} for label in LABELS
        ]
    files = standin.names(standin.flags.vae_dir)
    listed = [{"model_name": path.name, "filename": str(path)} for path in files.values()]
    routes["/sdapi/v1/sd-modules" if standin.dialect == "forge" else "/sdapi/v1/sd-vae"] = lambda _: listed
    if standin.has_controlnet():
        nets = standin.names(standin.flags.controlnet_dir)
        titles = ["None", *(f"{name} [{sha256(path)[:8]}]" for name, path in nets.items())]
        routes["/controlnet/model_list"] = lambda _: {"model_list": titles}
        routes["/controlnet/module_list"] = lambda _: {"module_list": ["none", "canny", "openpose"]}
    return routes


def _posts(standin: Standin) -> dict[str, Callable[[dict[str, Any]], Any]]:
    return {
        "/sdapi/v1/txt2img": lambda body: draw(standin, body, route="txt2img"),
        "/sdapi/v1/img2img": lambda body: draw(standin, body, route="img2img"),
        "/sdapi/v1/extra-single-image": lambda body: _upscale(standin, body),
        "/sdapi/v1/interrogate": lambda body: _interrogate(standin, body),
        "/sdapi/v1/interrupt": lambda _: _interrupt(standin),
    }


def _progress(standin: Standin) -> dict[str, Any]:
    standin.look()
    state = standin.progress.as_json()
    told = 0.0
    if state["job_count"]:
        told = min(1.0, 0.01 + state["job_no"] / state["job_count"])
    return {"progress": told, "eta_relative": 0.0, "state": state, "current_image": None, "textinfo": None}


def _sd_models(standin: Standin) -> list[dict[str, Any]]:
    hashed = not standin.flags.no_hashing
    return [
        {
            "title": standin.title(file),
            "model_name": file.stem,
            "hash": sha256(file)[:10] if hashed else None,
            "sha256": sha256(file) if hashed else None,
            "filename": str(file),
            "config": None,
        }
        for file in standin.checkpoints
    ]


def _upscalers(standin: Standin) -> list[dict[str, Any]]:
    at_hand = {"None": None, "Lanczos": None, "Nearest": None}
    at_hand |= {name: str(path) for name, path in standin.names(standin.flags.esrgan_models_path).items()}
    downloads = {"ESRGAN_4x": "https://models.invalid/ESRGAN_4x.pth"}
    listed = {**at_hand, **downloads}
    return [
        {"name": name, "model_name": None, "model_path": path, "scale": 4} for name, path in listed.items()
    ]


def _upscale(standin: Standin, body: dict[str, Any]) -> dict[str, Any]:
    """As webui: by the larger of both factors, sides rounded down to multiples of 8."""
    body = validated("extras", body)
    width, height = standin_png.size(body["image"])
    if body["upscaler_1"] not in {item["name"] for item in _upscalers(standin)}:
        raise RuntimeError("could not find upscaler")
    factor = body["upscaling_resize"]
    if body["resize_mode"] == 1:
        factor = max(body["upscaling_resize_w"] / width, body["upscaling_resize_h"] / height)
    wide, high = int(width * factor) // 8 * 8, int(height * factor) // 8 * 8
    if "wrong-size" in standin.trouble:
        wide *= 2
    return {"html_info": "", "image": standin_png.picture(body["image"], wide or 8, high or 8)}


def _interrogate(standin: Standin, body: dict[str, Any]) -> dict[str, Any]:
    if "no-captioner" in standin.trouble:
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")
    standin_png.size(body["image"])
    return {"caption": "a rectangle of one colour"}


def _interrupt(standin: Standin) -> dict[str, Any]:
    if "ignores-interrupt" not in standin.trouble:
        with standin.looked:
            standin.progress.interrupted = True
            standin.looked.notify_all()
    return {}
