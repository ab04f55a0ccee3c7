"""What a message is: addresses, header blocks, SMTP grammar and framing."""
