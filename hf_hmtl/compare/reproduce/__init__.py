"""The whole paper on one data set: what is trained for it, and the page of what came out."""
