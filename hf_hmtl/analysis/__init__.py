"""Looking at runs and models: curves, batch-norm statistics and, later, probes, attacks and explanations."""
