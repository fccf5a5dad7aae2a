"""Models whose gradients are derived by hand, in NumPy, and the mistakes made in such work."""

from .mistakes import HELD_BACK_MISTAKES, Mistake, mistakes
from .models import HELD_BACK_MODELS, MODELS, Model, digits, synthetic

__all__ = [
    "HELD_BACK_MISTAKES",
    "HELD_BACK_MODELS",
    "MODELS",
    "Mistake",
    "Model",
    "digits",
    "mistakes",
    "synthetic",
]
