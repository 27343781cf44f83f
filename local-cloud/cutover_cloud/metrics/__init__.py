"""CloudWatch metrics: a bounded, ordered store, and metric math."""
