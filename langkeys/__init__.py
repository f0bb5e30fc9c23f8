"""Administration of Langflow's API keys and credential variables."""

__version__ = "0.1.0"
