"""How a Core ML package suits Apple's Neural Engine, as far as can be told without one."""
