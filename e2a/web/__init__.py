"""Pages for people: what a link in a mail leads to."""
