"""Moving Figures: rendered clips in which motion and appearance are separate dials.

``draw`` paints one capsule; ``body`` turns joint angles into places; ``actions`` says how
the angles go; ``scene`` dresses and films a figure; ``tasks`` and ``wheels`` ask something
about it; ``dataset`` hands it to torch. Read in that order.
"""

from slowfast_edu.data.figures.actions import ACTIONS
from slowfast_edu.data.figures.dataset import (
    SPLITS,
    FigureKeyframes,
    FigureViews,
    MovingFigures,
)
from slowfast_edu.data.figures.scene import FRAMES_PER_SECOND
from slowfast_edu.data.figures.tasks import (
    HUES,
    Actions,
    Crowd,
    Hue,
    Scene,
    Task,
    equal_luma,
)
from slowfast_edu.data.figures.wheels import Binding, Spin

__all__ = [
    "ACTIONS",
    "FRAMES_PER_SECOND",
    "HUES",
    "SPLITS",
    "Actions",
    "Binding",
    "Crowd",
    "FigureKeyframes",
    "FigureViews",
    "Hue",
    "MovingFigures",
    "Scene",
    "Spin",
    "Task",
    "equal_luma",
]
