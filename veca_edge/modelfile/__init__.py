"""What a model file is: manifest, .pte with its archive, Core ML package. Untrusted bytes are checked here."""
