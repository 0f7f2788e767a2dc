"""What a model costs on this machine, measured so that the numbers can be trusted."""
