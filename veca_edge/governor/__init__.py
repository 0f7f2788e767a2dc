"""Which operating point to run at, decided from the device's state and the frames' times."""
