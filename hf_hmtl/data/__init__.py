"""From official files to batches: sources, drawn faces, decoding, augmentation, sampling and collation."""


def load(name, data_dir=None, **options):
    """A source as a `DatasetDict`: `load("fairface", FOLDER)`; see `hf_hmtl.data.loading.load`."""
    from hf_hmtl.data.loading import load  # here: most modules of this room need neither the sources nor the Hub

    return load(name, data_dir, **options)
