"""What picklescan thinks of a pickle. Shown beside our verdict, never instead of it: it goes by a list of
bad names.
"""

import importlib
import io
from typing import BinaryIO

from model_packaging.errors import PackagingError
from model_packaging.torch_file import pickle_in

MOST_BYTES = 4 * 2**20


def picklescan_says(file: BinaryIO) -> str:
    """A few words for people; "" where it is not installed, or the file gives it nothing to look at."""
    try:
        scanner = importlib.import_module("picklescan.scanner")
        content = pickle_in(file, at_most=MOST_BYTES)
    except (ImportError, PackagingError):
        return ""
    if not content:
        return ""
    seen = scanner.scan_pickle_bytes(io.BytesIO(content), "pickle")
    if seen.scan_err:
        return "picklescan could not read it"
    dangerous = [
        f"{found.module}.{found.name}" for found in seen.globals if found.safety.value == "dangerous"
    ]
    return (
        f"picklescan calls {dangerous[0][:80]} dangerous"
        if dangerous
        else "picklescan finds nothing dangerous"
    )
