import numpy as np
from PIL import Image

from hf_hmtl.analysis.augmentations import show_levels


def test_show_levels_writes_one_picture_with_a_row_for_each_face(tmp_path):
    path, generator = tmp_path / "levels.png", np.random.default_rng(0)
    faces = [generator.integers(0, 256, shape, dtype=np.uint8) for shape in ((80, 80, 3), (64, 60))]
    show_levels(faces, path, 32)
    assert [file.name for file in tmp_path.iterdir()] == ["levels.png"]
    with Image.open(path) as shown:
        assert shown.format == "PNG" and shown.width > shown.height > 150
        assert np.asarray(shown.convert("RGB")).std() > 20
