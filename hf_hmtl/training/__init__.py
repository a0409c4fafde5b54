"""Training: the trainer, its arguments, how losses become one, and what a checkpoint holds."""
