"""Training with nested core budgets, and heads on frozen models: see README.md in this folder."""
