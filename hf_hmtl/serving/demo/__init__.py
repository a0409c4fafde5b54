"""`hf-hmtl demo`: a page in the browser that shows what a network sees in a face."""
