"""Names of environment variables that mean something to Langflow, or to the system.

Read from the releases: ``VARIABLES_TO_GET_FROM_ENVIRONMENT`` of ``lfx.services.settings.constants``
(of ``langflow.services.settings.constants`` up to 1.7) and ``lfx.utils.env_var_security``.
"""

from langkeys.settings import Settings

IMPORTED = (
    "COMPOSIO_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY",
    "AZURE_AI_FOUNDRY_API_KEY", "AZURE_AI_FOUNDRY_ENDPOINT", "AZURE_AI_FOUNDRY_API_VERSION",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_API_VERSION", "AZURE_OPENAI_API_INSTANCE_NAME",
    "AZURE_OPENAI_API_DEPLOYMENT_NAME", "AZURE_OPENAI_API_EMBEDDINGS_DEPLOYMENT_NAME",
    "ASTRA_DB_APPLICATION_TOKEN", "ASTRA_DB_API_ENDPOINT", "COHERE_API_KEY", "GROQ_API_KEY",
    "HUGGINGFACEHUB_API_TOKEN", "PINECONE_API_KEY", "SAMBANOVA_API_KEY", "SEARCHAPI_API_KEY",
    "SERPAPI_API_KEY", "UPSTASH_VECTOR_REST_URL", "UPSTASH_VECTOR_REST_TOKEN",
    "VECTARA_CUSTOMER_ID", "VECTARA_CORPUS_ID", "VECTARA_API_KEY", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "NOVITA_API_KEY", "TAVILY_API_KEY", "COMETAPI_KEY",
    "EMPIRIOLABS_API_KEY", "WATSONX_APIKEY", "WATSONX_PROJECT_ID", "WATSONX_URL",
    "OPENROUTER_API_KEY", "OPENROUTER_SITE_URL", "OPENROUTER_APP_NAME",
)  # fmt: skip
"""What a server imports from its environment unasked: 1.13's list, which holds all older ones."""

_GUARDED = frozenset(
    (
        "DATABASE_URL", "SECRET_KEY", "POSTGRES_PASSWORD", "PGVECTOR_CONNECTION_STRING",
        "PGPASSWORD", "MYSQL_PWD", "MYSQL_ROOT_PASSWORD", "REDIS_URL", "REDIS_PASSWORD",
        "MONGODB_URI", "MONGO_URL", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "GCP_SA_KEY",
        "AZURE_CLIENT_SECRET", "JWT_SECRET", "JWT_SECRET_KEY", "SESSION_SECRET", "SIGNING_KEY",
        "ENCRYPTION_KEY", "CLIENT_SECRET", "OAUTH_CLIENT_SECRET", "GOOGLE_CLIENT_SECRET",
        "GITHUB_CLIENT_SECRET", "MICROSOFT_CLIENT_SECRET", "SMTP_PASSWORD", "SMTP_PASS",
        "EMAIL_HOST_PASSWORD", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN",
    )
)  # fmt: skip
_GUARDED_PREFIXES = ("LANGFLOW_", "LFX_")

_STEERING = frozenset(
    ("PATH", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "IFS", "PS4", "PROMPT_COMMAND", "ZDOTDIR")
)
_STEERING_PREFIXES = ("LD_", "DYLD_", "PYTHON", "BASH_FUNC_")


def imported_names(settings: Settings) -> list[str]:
    """Return the names that a server imports: its own and those that the settings add."""
    added = settings.text("LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT") or ""
    names = (name.strip() for name in added.split(","))
    return list(dict.fromkeys((*IMPORTED, *filter(None, names))))


def is_guarded(name: str) -> bool:
    """Tell whether newer servers never take this name from the environment for a flow."""
    upper = name.upper()
    return upper in _GUARDED or upper.startswith(_GUARDED_PREFIXES)


def steers(name: str) -> bool:
    """Tell whether this name in its environment makes a program load or run something else."""
    return name in _STEERING or name.startswith(_STEERING_PREFIXES)
