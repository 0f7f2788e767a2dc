"""What runs on the device: model files, engines, results."""
