"""Who may do what: users, tokens, projects and roles."""
