"""Training with nested core budgets, and heads on frozen models."""
