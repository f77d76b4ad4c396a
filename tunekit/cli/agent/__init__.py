"""The tools that a coding agent gets from `tunekit mcp`, within a budget."""
