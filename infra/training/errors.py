"""What can stop a training, each with the fix in its sentence.

TrainingProblem
├── NotTrainable    pictures, captions, settings or base model cannot be used; nothing was sent
└── NotTrained      SageMaker gave the job up, or it was stopped; its reason
"""

from bot.domain.errors import BotError


class TrainingProblem(BotError):
    """Base of the tree."""


class NotTrainable(TrainingProblem):
    """The sentence names the file or option."""


class NotTrained(TrainingProblem):
    """The sentence holds SageMaker's own reason."""
