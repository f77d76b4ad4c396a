"""Deep conditional trees whose optimum is known exactly, drawn fresh from every seed."""
