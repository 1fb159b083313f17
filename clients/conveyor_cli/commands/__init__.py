"""One module a command: SUMMARY, EXAMPLE, Settings and run(settings)."""
