class TrainingError(Exception):
    """Why a job cannot be done, as a sentence for whoever started it. Never holds a caption."""


class BadHyperparameter(TrainingError):
    """One hyperparameter is wrong; `key` names it."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"hyperparameter {key} {reason}")
        self.key = key
