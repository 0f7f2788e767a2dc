"""A checkpoint to one ExecuTorch file that holds every core budget, with the weights stored once."""
