"""Where frames come from: webcams, video files, folders of images, network streams."""
