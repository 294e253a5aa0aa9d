"""Training, on one machine or many. Read: schedule, recipe, batches, step, loop.

Beside them ``evaluation`` with its ``metrics``, ``statistics`` (BN's, before it),
``saving`` and ``log`` (a run's folder), ``pace``, ``preview`` (what a run will take),
``precision`` (bf16 and fp16), ``distributed`` (``torchrun``) and ``machine``.
"""

from slowfast_edu.training.batches import training_loader
from slowfast_edu.training.evaluation import Predictions, evaluate, evaluation_loader
from slowfast_edu.training.loop import train_slowfast
from slowfast_edu.training.recipe import PAPER, PYSLOWFAST, RECIPES, Recipe
from slowfast_edu.training.schedule import Schedule
from slowfast_edu.training.step import Execution, TrainingStopped

__all__ = [
    "PAPER",
    "PYSLOWFAST",
    "RECIPES",
    "Execution",
    "Predictions",
    "Recipe",
    "Schedule",
    "TrainingStopped",
    "evaluate",
    "evaluation_loader",
    "train_slowfast",
    "training_loader",
]
