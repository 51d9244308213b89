"""Where SageMaker Training puts things and looks for them (its developer guide, "How training works")."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolders:
    """The folders under `root`, which is /opt/ml in a job."""

    root: Path

    @property
    def hyperparameters(self) -> Path:
        return self.root / "input/config/hyperparameters.json"

    @property
    def pictures(self) -> Path:
        """The channel "train"."""
        return self.root / "input/data/train"

    @property
    def base_models(self) -> Path:
        """The channel "model"."""
        return self.root / "input/data/model"

    @property
    def result(self) -> Path:
        """What is packed and uploaded when the job ends."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """Copied to S3 as it changes, and back when a job on a spot instance starts again."""
        return self.root / "checkpoints"

    @property
    def failure(self) -> Path:
        """Its first 1,024 characters are shown as the job's `FailureReason`."""
        return self.root / "output/failure"
