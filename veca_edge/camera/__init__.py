"""Everything between a camera and a screen: sources, preprocessing, overlays, writers, the window."""
