"""What a data set is and what is wrong with it, before a day of training is lost: `hf-hmtl doctor`."""
