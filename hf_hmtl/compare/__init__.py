"""Many runs: rows of a table x seeds, trained and set side by side."""
