"""What is recognised by its embedding: things named by examples, and pictures that are like one."""
