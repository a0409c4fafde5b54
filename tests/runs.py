"""Options of runs that end in seconds."""

SMALL = ["--backbone", "test_efficientnet", "--image_size", "48", "--use_cpu", "--disable_tqdm", "true",
         "--per_device_train_batch_size", "32", "--logging_steps", "2"]  # fmt: skip


def tiny(*changes):
    """Options for drawn faces that train in seconds: 6 steps an epoch."""
    return [*SMALL, "--set", "source.train=192", "source.validation=32", "source.test=32", "source.size=48", *changes]


TINY = tiny()
