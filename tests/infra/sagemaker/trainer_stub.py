"""A trainer that keeps SageMaker's conventions and learns nothing: steps, checkpoint, log, SIGTERM, a LoRA.

It is run as `python tests/infra/sagemaker/trainer_stub.py --root FOLDER`, in place of our container where a
test is about the job's states.
"""

import json
import signal
import sys
import threading
from pathlib import Path

STEP_SECONDS = 0.005


def main() -> int:
    """Step by step, from where the checkpoint says, until the last one or SIGTERM."""
    root, stopped = Path(sys.argv[-1]), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    given = json.loads((root / "input/config/hyperparameters.json").read_text())
    checkpoint = root / "checkpoints/training.pt"
    unfinished = root / "checkpoints/training.pt.unfinished"
    if not given["steps"].isdecimal():
        (root / "output/failure").write_text("hyperparameter steps must be a whole number")
        return 1
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    print(f"going on after step {step}", flush=True)
    while step < int(given["steps"]) and not stopped.wait(STEP_SECONDS):
        step += 1
        unfinished.write_text(str(step))
        unfinished.replace(checkpoint)
        print(f"step {step} of {given['steps']}, loss=0.1;", flush=True)
    (root / "model/Lora").mkdir(exist_ok=True)
    (root / f"model/Lora/{given['name']}.safetensors").write_bytes(lora())
    return 0


def lora() -> bytes:
    """A file with the low-rank change of one layer, all zeros."""
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    tensors = {
        f"{layer}.lora_down.weight": {"dtype": "F16", "shape": [1, 4], "data_offsets": [0, 8]},
        f"{layer}.lora_up.weight": {"dtype": "F16", "shape": [4, 1], "data_offsets": [8, 16]},
    }
    header = json.dumps(tensors).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + bytes(16)


if __name__ == "__main__":
    sys.exit(main())
