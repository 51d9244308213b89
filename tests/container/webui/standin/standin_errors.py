"""What webui refuses, and how it words it: pydantic's checks of fields, FastAPI's HTTPException."""

from typing import Any


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def http_exception(status: int, detail: str) -> Refused:
    """As webui's middleware words an HTTPException: `errors` is its text."""
    return Refused(status, {"error": "HTTPException", "detail": detail, "body": "", "errors": ""})


_DRAWING = {
    "prompt": "",
    "negative_prompt": "",
    "styles": [],
    "seed": -1,
    "subseed": -1,
    "subseed_strength": 0.0,
    "sampler_name": None,
    "sampler_index": "Euler",
    "scheduler": None,
    "batch_size": 1,
    "n_iter": 1,
    "steps": 50,
    "cfg_scale": 7.0,
    "width": 512,
    "height": 512,
    "tiling": None,
    "eta": None,
    "override_settings": {},
    "override_settings_restore_afterwards": True,
    "alwayson_scripts": {},
    "script_name": None,
    "init_images": None,
    "mask": None,
    "denoising_strength": 0.75,
    "enable_hr": False,
    "hr_resize_x": 0,
    "hr_resize_y": 0,
    "hr_scale": 2.0,
    "hr_second_pass_steps": 0,
    "hr_additional_modules": None,  # Forge's; with null its second pass fails
}
_EXTRAS = {
    "image": "",
    "resize_mode": 0,
    "upscaling_resize": 2,
    "upscaling_resize_w": 512,
    "upscaling_resize_h": 512,
    "upscaling_crop": True,
    "upscaler_1": "None",
}
_DEFAULTS: dict[str, dict[str, Any]] = {"drawing": _DRAWING, "extras": _EXTRAS}


def validated(schema: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body with defaults, unknown fields dropped silently. Raises FastAPI's 422 for a wrong type."""
    defaults = _DEFAULTS[schema]
    for name, default in defaults.items():
        value = body.get(name)
        whole = isinstance(default, int) and not isinstance(default, bool)
        if whole and value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            where = {
                "loc": ["body", name],
                "msg": "value is not a valid integer",
                "type": "type_error.integer",
            }
            raise Refused(422, {"detail": [where]})
    return {name: body.get(name, default) for name, default in defaults.items()}
