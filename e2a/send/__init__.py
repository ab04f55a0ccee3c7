"""SMTP out: through an upstream server, or straight to the recipients' own."""
