"""The demo: an embedded broker, a synthetic summer, and a stand-in for Slack."""
