"""What people and workers attach to studies and trials: notes and files."""
