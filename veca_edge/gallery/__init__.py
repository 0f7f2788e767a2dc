"""Name your own things with a handful of examples: nothing is trained, and the model file does not change."""
