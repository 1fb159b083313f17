"""Looking at calls: which of them, what is known of them, and who is told: the access log and OpenTelemetry."""
