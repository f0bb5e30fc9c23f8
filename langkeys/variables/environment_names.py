"""Names of environment variables that are special to Langflow or to the operating system.

These lists come from Langflow's source: ``VARIABLES_TO_GET_FROM_ENVIRONMENT`` of
``lfx.services.settings.constants`` (of ``langflow.services.settings.constants`` up to 1.7) and
``lfx.utils.env_var_security``.
"""

import re

from langkeys.config.settings import Settings

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
"""The variables that a server imports from its environment by default.

The list is that of 1.13, which contains those of all older releases.
"""

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

_CREDENTIAL_ENDINGS = (
    "KEY", "APIKEY", "ACCESSKEY", "SECRETKEY", "ACCESS_KEY_ID", "TOKEN", "AUTHTOKEN", "SECRET",
    "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD", "PAT", "CREDENTIAL", "CREDENTIALS",
)  # fmt: skip
_CREDENTIAL_WORDS = (
    "API_KEY", "APIKEY", "ACCESS_KEY", "TOKEN", "SECRET", "PASSWORD", "PASSPHRASE", "PGPASSWORD",
)  # fmt: skip

# Letters are listed explicitly: with re.IGNORECASE, the Kelvin sign would match K.
_CREDENTIAL_FORM = re.compile(
    rf"[A-Z][A-Z0-9_]*_(?:{'|'.join(_CREDENTIAL_ENDINGS)})|{'|'.join(_CREDENTIAL_WORDS)}"
)
_PLAIN_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")

# Names that servers and langkeys read; prefixes of settings that programs read from their
# environment; and names that control loaders, interpreters, build tools and password prompts. Such
# a name may end like a credential: CARGO_ALIAS_MY_TOKEN defines a command.
_STEERING_PREFIXES = (
    "LANGFLOW_", "LANGKEYS_", "LFX_",
    "LD_", "DYLD_", "GLIBC_", "MALLOC_", "BASH", "ZSH_", "LESS",
    "GIT_", "SSH_", "SUDO_", "DOAS_", "PASSWORD_STORE_", "PINENTRY_",
    "SYSTEMD_", "DBUS_", "XDG_", "QT_", "QML_", "GTK_", "GDK_", "GIO_", "GST_",
    "PYTHON", "PIP_", "PIPENV_", "PIPX_", "POETRY_", "PDM_", "UV_", "CONDA_", "PYENV_",
    "PERL", "RUBY", "GEM_", "BUNDLE_", "BUNDLER_", "LUA_", "PHP_", "COMPOSER_", "JULIA_", "ERL_",
    "NODE_OPTIONS", "NODE_PATH", "NPM_CONFIG_", "NPM_PACKAGE_", "YARN_", "PNPM_", "DENO_", "NVM_",
    "ELECTRON_",
    "JAVA_", "JDK_", "JVM_", "MAVEN_", "MVN_", "GRADLE_", "ORG_GRADLE_", "SBT_",
    "DOTNET_", "CORECLR_", "COR_", "COMPLUS_", "MSBUILD",
    "CARGO_", "RUST_", "RUSTC_", "RUSTUP_", "CGO_", "CMAKE_", "CCACHE_", "SCCACHE_", "PKG_CONFIG_",
    "HOMEBREW_", "NIX_", "DPKG_", "DEB_", "RPM_",
    "DOCKER_", "BUILDKIT_", "BUILDX_", "COMPOSE_", "PODMAN_", "CONTAINERS_", "KUBE", "HELM_",
    "VAGRANT_", "PACKER_", "TF_", "TERRAFORM_", "TERRAGRUNT_", "ANSIBLE_", "CLOUDSDK_", "AIRFLOW__",
    "OPENSSL_", "SSL_", "GNUTLS_", "CURL_", "PKCS11_", "P11_", "KRB5", "LDAPTLS_",
)  # fmt: skip
_STEERING = frozenset(
    # Names that a Langflow server also reads without LANGFLOW_.
    ("SECRET_KEY", "SUPERUSER_PASSWORD", "PRIVATE_KEY", "PUBLIC_KEY", "AUTH_SECRET_KEY")
)


def imported_names(settings: Settings) -> list[str]:
    """Return the names that a server imports: the default names and those in the settings."""
    added = settings.text("LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT") or ""
    names = (name.strip() for name in added.split(","))
    return list(dict.fromkeys((*IMPORTED, *filter(None, names))))


def is_guarded(name: str) -> bool:
    """Tell whether newer servers never pass this environment variable to a flow."""
    upper = name.upper()
    return upper in _GUARDED or upper.startswith(_GUARDED_PREFIXES)


def is_credential(name: str) -> bool:
    """Tell whether a name has the form of a credential, and does not control how programs run.

    This allow-list decides which variables enter an environment although nobody named them. A user
    who may store variables must not be able to choose what a program loads or runs. The case of
    names is ignored, because some programs ignore it.
    """
    if name in IMPORTED:
        return True
    upper = name.upper()
    return (
        _PLAIN_NAME.fullmatch(name) is not None
        and _CREDENTIAL_FORM.fullmatch(upper) is not None
        and upper not in _STEERING
        and not upper.startswith(_STEERING_PREFIXES)
    )
