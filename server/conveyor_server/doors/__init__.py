"""Who may come in, and how often: certificates, tokens, groups of methods, a rate for each caller."""
