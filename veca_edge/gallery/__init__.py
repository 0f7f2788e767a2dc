"""What is recognised again by its embedding: the pictures of a folder that are like one, or like each other."""
