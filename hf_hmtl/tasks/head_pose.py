"""Head pose: yaw, pitch and roll, each by a softmax over bins of three degrees (section 4.8.1; HopeNet)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hf_hmtl.metrics.measure import Measure
from hf_hmtl.metrics.regression import angle_scores
from hf_hmtl.tasks.regression import Regression

ANGLES = ("yaw", "pitch", "roll")
_MIRRORED = (-1.0, 1.0, -1.0)


@dataclass(frozen=True)
class HeadPose(Regression):
    """Euler angles in degrees by HopeNet's loss (Ruiz et al. 2018, arXiv 1710.00925, section 3.2): of each angle

        cross-entropy over bins + alpha * loss(E), by itself the squared error

    The defaults are HopeNet's, for figures that compare with its own: 66 bins of 3 degrees from -99 to 99, each of
    which stands for its left edge; rows with an angle beyond are left out; angles are compared as numbers, unwrapped.
    `bin_values: centres` takes the half bin away by which left edges are low. Angle 99 belongs to the last bin; by
    HopeNet's rule it would have bin 66, which there is not.

    The image may be mirrored, which negates yaw and roll; it may not be turned, because the Euler angles of 300W-LP do
    not add to the angle of a turn, but where pitch and yaw are 0.

    Attributes:
        column: those of yaw, pitch and roll, in this order.
        alpha: weight of the loss of the numbers; HopeNet publishes 1 and 2, the paper gives none.
    """

    name: str = "pose"
    column: str | tuple[str, ...] = ANGLES
    loss: str = "mse"
    range: tuple[float, float] | None = (-99.0, 99.0)
    unit: str = "degrees"
    bins: int | None = 66
    bin_values: str = "left_edges"

    headline: ClassVar[Measure] = Measure("mae", greater_is_better=False, unit="degrees")
    leaves_out: ClassVar[bool] = True
    turnable: ClassVar[bool] = False

    def __post_init__(self):
        super().__post_init__()
        if len(self.columns) != len(ANGLES):
            raise ValueError(
                f"{self.name}: the columns are {', '.join(self.columns)}, needed are three, of yaw, pitch and roll in "
                "this order, in degrees: column: [yaw, pitch, roll]"
            )

    @property
    def _factors(self) -> tuple[float, float]:
        return 1.0, self.alpha

    def mirrored(self, target: Tensor) -> Tensor:
        """The pose in a mirror: yaw and roll change their sign."""
        return target * torch.tensor(_MIRRORED)

    @property
    def beside(self) -> tuple[Measure, ...]:
        return tuple(Measure(f"mae_{angle}", greater_is_better=False, unit="degrees") for angle in ANGLES)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See `metrics.regression.angle_scores`; `mae` is the mean of the three."""
        return angle_scores(predictions, targets, ANGLES)


TASK = HeadPose
