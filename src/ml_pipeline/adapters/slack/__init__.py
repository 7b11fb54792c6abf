"""Slack, spoken through the Notifier port."""
