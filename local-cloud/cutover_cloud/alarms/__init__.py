"""CloudWatch alarms, as documented: MiniStack evaluates them only when a metric is put, over all dimensions together,
as one period, and knows neither missing data nor metric math."""
