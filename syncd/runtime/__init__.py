"""When things happen: workers, supervision, telemetry. Knows no technology and no flow by name."""
