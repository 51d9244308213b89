"""A repository with our recipes and hardly anything else."""

import base64
import io
from pathlib import Path

from PIL import Image

IGNORED = "*\n!container/\n!requirements/*.txt\n**/__pycache__\ncontainer/train.py\ncontainer/notes\n"


def lay_out(root: Path) -> Path:
    files = {
        ".dockerignore": IGNORED,
        "README.md": "not in an image",
        "container/Dockerfile": "FROM scratch\n",
        "container/Dockerfile.slim": "FROM scratch\n",
        "container/Dockerfile.train": "ARG BASE\nFROM ${BASE}\n",
        "container/server.py": "print()\n",
        "container/train.py": "not in an image",
        "container/notes/one.md": "not in an image",
        "container/__pycache__/server.pyc": "not in an image",
        "requirements/torch.txt": "torch\n",
        "requirements/torch.in": "not in an image",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _png() -> str:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "#a01010").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PNG = _png()
