"""The study that a person holds, and its calls."""
