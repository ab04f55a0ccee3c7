"""Who sent this: SPF, DKIM, DMARC and ARC as questions; one file does DNS."""
