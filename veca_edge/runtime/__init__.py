"""What runs a model: `model.load`, engines, streams, results, and how long it all takes."""
