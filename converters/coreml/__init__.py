"""A checkpoint to a Core ML package with one function per core budget and image size."""
