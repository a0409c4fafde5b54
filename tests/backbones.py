"""Tiny backbones that not every allowed timm has."""

import pytest
import timm

WITH_COMPUTED_BUFFERS = "test_vit_relpos"
needs_computed_buffers = pytest.mark.skipif(
    not timm.is_model(WITH_COMPUTED_BUFFERS), reason="timm before 1.0.31 has no tiny network that computes its buffers"
)
