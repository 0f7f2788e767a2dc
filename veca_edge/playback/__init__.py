"""What a run shows and writes: views, overlay, window, video, log, and a page in a browser."""
