"""Core ML packages with an ML program, read without a Mac: the folder, the program, the weight file."""
