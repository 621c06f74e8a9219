"""Django's settings: the console, the keeper, the worker and the commands.

The data plane never imports this module; it receives ``poolsite.config.Config``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from poolsite import env, roots

BASE_DIR = Path(__file__).resolve().parent.parent
CONFIG = env.load()
DATA_DIR = CONFIG.data_path
DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
TESTING = "pytest" in sys.modules

ROOTS = roots.load(
    DATA_DIR, may_create=not (DATA_DIR / "pool.sqlite3").exists() or TESTING
)
SECRET_KEY = ROOTS.secret_key
DEBUG = False
IS_HTTPS = CONFIG.public_url.startswith("https://")

_public_host = urlsplit(CONFIG.effective_public_url).hostname or "localhost"
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    _public_host,
    CONFIG.host,
    *CONFIG.allowed_hosts,
]
if CONFIG.public_url:
    CSRF_TRUSTED_ORIGINS = [CONFIG.public_url.rstrip("/")]

INSTALLED_APPS = [
    "poolsite.apps.PoolsiteConfig",
    "pricing.apps.PricingConfig",
    "usage.apps.UsageConfig",
    "oauth.apps.OauthConfig",
    "providers.apps.ProvidersConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_filters",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
]

MIDDLEWARE = [
    "poolsite.door.DoorMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "poolsite.lock.LockMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "poolsite.setup.FirstRunMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "poolsite.ui.middleware.ConsoleMiddleware",
    "poolsite.accounts.UserZoneMiddleware",
]

ROOT_URLCONF = "poolsite.urls"
ASGI_APPLICATION = "poolsite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "poolsite.ui.context.console",
            ]
        },
    }
]
FORM_RENDERER = "poolsite.ui.forms.ConsoleFormRenderer"


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                "PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=67108864; "
                "PRAGMA cache_size=-16000;"
            ),
        },
    }


def _database() -> dict[str, Any]:
    if not CONFIG.database_url:
        return _sqlite(DATA_DIR / "pool.sqlite3")
    parsed: dict[str, Any] = environ.Env.db_url_config(CONFIG.database_url)
    if parsed["ENGINE"].endswith("sqlite3"):
        return _sqlite(Path(parsed["NAME"]))
    parsed["CONN_MAX_AGE"] = 0
    parsed["OPTIONS"] = {
        "pool": {"min_size": 0, "max_size": 8, "timeout": 5},
        # Compiling a dashboard's query takes longer than answering it, and on today's
        # disks an index pays for far more rows than the server assumes.
        "options": "-c lock_timeout=2s -c idle_in_transaction_session_timeout=30s"
        " -c jit=off -c random_page_cost=1.1",
    }
    return parsed


DATABASES = {"default": _database()}
IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if CONFIG.redis_url:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": CONFIG.redis_url,
            "KEY_PREFIX": "pool-cache",
        }
    }

AUTH_USER_MODEL = "poolsite.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"
    },
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "poolsite.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = True

SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "poolsite.ui.errors.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if IS_HTTPS:
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-pool-session"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-pool-csrf"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
else:
    SESSION_COOKIE_NAME = "pool-session"
    CSRF_COOKIE_NAME = "pool-csrf"
# The proxy in front redirects to https (W008), and neither the domain's other names
# (W005) nor the browsers' preload list (W021) are ours to decide on. Over plain http the
# other four have no cure inside the product; the console says so on screen instead.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
if not IS_HTTPS:
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W012", "security.W016"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if TESTING
        else "servestatic.storage.CompressedManifestStaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

if CONFIG.email_url:
    vars().update(environ.Env.email_url_config(CONFIG.email_url))
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # A person's 403, 404 or 422 is an answer, not news for the operator.
        "django.request": {"level": "ERROR"},
        # It writes whole URLs, and a webhook's is a password.
        "httpx2": {"level": "WARNING"},
    },
}
