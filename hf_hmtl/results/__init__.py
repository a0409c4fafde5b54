"""What a run did and what came out: result.json, and the model card that is made of it."""
