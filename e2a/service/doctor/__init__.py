"""Looking at a deployment from outside without changing anything: what is wrong with it, and what to do."""
