"""The dashboard: pages for people who are signed in."""
