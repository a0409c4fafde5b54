"""`hf-hmtl serve`: a network behind HTTP."""
