"""What a user of the package writes."""

from __future__ import annotations

from importlib.metadata import entry_points

import numpy as np
import pytest

if not entry_points(group="pytest11", name="gradcheck_splines"):
    pytest.skip("install docs/examples/adapter_package", allow_module_level=True)

from gradcheck_splines import Spline

from pytest_gradcheck import GradcheckError


@pytest.mark.gradcheck(tol=1e-8)
def test_force():
    return Spline(np.sin(np.arange(8.0)), stiffness=3.0)


def test_a_wrong_force_is_found(gradcheck):
    class Slack(Spline):
        def force(self):
            return 0.5 * super().force()

    with pytest.raises(GradcheckError, match="factor"):
        gradcheck(Slack(np.cos(np.arange(8.0))))
