"""From official files to batches: sources, drawn faces, decoding, augmentation, sampling and collation."""
