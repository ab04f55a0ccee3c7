"""What is true without a network: pure values and rules, no Twisted."""
