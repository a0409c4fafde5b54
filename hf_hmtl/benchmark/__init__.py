"""How fast everything is that a training passes, beside its limits and what others write; no training needs it."""
