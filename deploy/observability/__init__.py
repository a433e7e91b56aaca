"""What operators look at: Prometheus with its alerts, Grafana with its dashboards."""
