"""e2a: an authenticated e-mail gateway for AI agents."""

__version__ = "0.1.0"
