"""What every service needs and none of them owns: settings, logs, telemetry, keys, access, web, pipeline."""
