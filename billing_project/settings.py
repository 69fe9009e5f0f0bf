"""Settings; every one that an operator may want to change is read from the environment (see README)."""

import re
import warnings
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from billing_project import home
from billing_project.theme import UNFOLD as UNFOLD
from core.money import is_currency

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = home.secret_key()
# Seal the secrets that the database keeps (core/secrecy.py): the first seals, all open.
SECRETS_KEYS = home.secrets_keys()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# An installation is of one mode: test objects and live objects never share a database.
LIVEMODE = env.bool("LIVEMODE", default=False)
# Links that leave the server (portal sessions) begin with this; empty: the address of the request is used.
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")

INSTALLED_APPS = [
    "billing_project.apps.BillingProjectConfig",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core",
    "api",
    "webhooks",
    "customers",
    "meters",
    "usage_imports",
    "pricing",
    "credits",
    "subscriptions",
    "invoices",
    "alerts",
    "portal",
]

MIDDLEWARE = [
    "api.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "billing_project.urls"
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
            ],
        },
    },
]

DATABASES = {"default": environ.Env.db_url_config(home.database_url())}
# Health checks: after a restart of the database no request meets a dead connection.
DATABASES["default"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
DATABASES["default"].setdefault("OPTIONS", {})
# A process that hangs inside a transaction loses it, and nobody waits longer than this for a row that it holds:
# one that is stopped, or cut off, must not stop the billing of everybody else.
LOCK_TIMEOUT_SECONDS = env.int("LOCK_TIMEOUT_SECONDS", default=10)
IDLE_TRANSACTION_SECONDS = env.int("IDLE_TRANSACTION_SECONDS", default=60)
# Somebody waits for what the web server asks (asgi.py says that it is one): such a statement is given up in the end.
WEB_STATEMENT_SECONDS = env.int("WEB_STATEMENT_SECONDS", default=30)
IS_WEB = env.str("COUNTINGHOUSE_PROCESS", default="") == "web"
DATABASES["default"]["OPTIONS"]["options"] = " ".join(
    [
        DATABASES["default"]["OPTIONS"].get("options", ""),
        f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s",
        f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SECONDS}s",
        f"-c statement_timeout={WEB_STATEMENT_SECONDS}s" if IS_WEB else "",
    ]
).strip()
DATABASES["default"]["OPTIONS"] |= {
    # For the one statement that asks for it (meters/event_writes.py); Django's own are never prepared.
    "prepare_threshold": 5,
    "pool": {"min_size": 1, "max_size": env.int("DATABASE_POOL_SIZE", default=8), "timeout": 10},
}
# Threads of the web server in which Django answers; events do without.
WEB_THREADS = int(env.str("WEB_THREADS", default="") or 4)
# Events that may wait for their turn to be stored; who comes then is told to try again.
EVENTS_WAITING = env.int("EVENTS_WAITING", default=20_000)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = ["billing_project.formats"]
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Files are served from where they are installed: no `collectstatic`, and STATIC_ROOT may be absent.
WHITENOISE_USE_FINDERS = True
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)

# --- mail -----------------------------------------------------------------------------------------
# As a URL: smtp://user:password@host:25, smtp+tls://...:587, smtp+ssl://...:465. Empty: mails are files in
# $APP_HOME/mail.
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_TIMEOUT = 15
if EMAIL_URL:
    globals().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = home.app_home() / "mail"
MAIL_FROM = env.str("MAIL_FROM", default="Countinghouse <countinghouse@localhost>")
# Who is told what concerns the installation; empty: the superusers that have an address.
OPERATOR_EMAILS = env.list("OPERATOR_EMAILS", default=[])

# --- pages -----------------------------------------------------------------------------------------
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("HTTPS_ONLY", default=False)
SECURE_SSL_REDIRECT = env.bool("HTTPS_ONLY", default=False)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_SSL_REDIRECT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_SSL_REDIRECT
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Proxies of our own in front, each of which adds to X-Forwarded-For; with none the header is not read.
TRUSTED_PROXIES = max(0, env.int("TRUSTED_PROXIES", default=int(BEHIND_TLS_PROXY)))
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# The admin theme evaluates expressions in its pages; `portal` and `api` pages tighten this (see their views).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "object-src": ["'none'"],
    },
}
# Largest body of any request; the API's own limits are lower (api/forms.py).
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- API -------------------------------------------------------------------------------------------
# Calls that one key may make a second, in all web processes together; 0 is without a limit. Reports of usage are apart:
# to refuse them would cost money, and how many can be taken in is for the database to say.
RATE_LIMIT_PER_SECOND = max(0, env.int("RATE_LIMIT_PER_SECOND", default=200))
METERING_RATE_LIMIT_PER_SECOND = max(0, env.int("METERING_RATE_LIMIT_PER_SECOND", default=0))
WEB_WORKERS = max(1, env.int("WEB_WORKERS", default=1))
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.BracketFormParser"],
    "DEFAULT_RENDERER_CLASSES": ["api.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "api.openapi.ResourceSchema",
    "EXCEPTION_HANDLER": "api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countinghouse",
    "DESCRIPTION": "Usage-based billing on the wire of Stripe Billing.",
    "VERSION": "v1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [],
}

# --- background work -------------------------------------------------------------------------------
CELERY_BROKER_URL = home.broker_url()
CELERY_TIMEZONE = "UTC"
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # nothing is kept that would have to expire
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- metering --------------------------------------------------------------------------------------
# A repeated identifier is answered as if it were new and is not counted, instead of being refused.
FIRST_EVENT_WINS = env.bool("FIRST_EVENT_WINS", default=False)
# Combinations of dimensions that a meter may have; each has a row a day and customer in the rollup.
MAX_DIMENSION_COMBINATIONS = env.int("MAX_DIMENSION_COMBINATIONS", default=100_000)

# --- billing ---------------------------------------------------------------------------------------
# Seconds between the end of a period and the finalisation of its invoice (Stripe: one hour); a customer may have
# its own.
INVOICE_GRACE_SECONDS = env.int("INVOICE_GRACE_SECONDS", default=3600)
if not 0 <= INVOICE_GRACE_SECONDS <= 72 * 3600:
    raise ImproperlyConfigured(f"INVOICE_GRACE_SECONDS is {INVOICE_GRACE_SECONDS}: it can be 0 to 259200 (72 hours).")
# What becomes of usage that arrives when the invoice of its period is final; a customer may have a rule of its own.
LATE_USAGE = env.str("LATE_USAGE", default="next_invoice")
if LATE_USAGE not in ("next_invoice", "adjustment", "hold", "not_billed"):
    raise ImproperlyConfigured(f"LATE_USAGE is {LATE_USAGE}: it can be next_invoice, adjustment, hold or not_billed.")
# How many days before the end of a period the event `invoice.upcoming` is told; 0: never.
INVOICE_UPCOMING_DAYS = env.int("INVOICE_UPCOMING_DAYS", default=7)
if not 0 <= INVOICE_UPCOMING_DAYS <= 45:
    raise ImproperlyConfigured(f"INVOICE_UPCOMING_DAYS is {INVOICE_UPCOMING_DAYS}: it can be 0 to 45.")
# Whose numbers follow each other: those of each customer's invoices, or of all under INVOICE_PREFIX.
INVOICE_NUMBERING = env.str("INVOICE_NUMBERING", default="customer")
INVOICE_PREFIX = env.str("INVOICE_PREFIX", default="")
if INVOICE_NUMBERING not in ("customer", "account"):
    raise ImproperlyConfigured(f"INVOICE_NUMBERING is {INVOICE_NUMBERING}: it can be customer or account.")
if INVOICE_NUMBERING == "account" and not re.fullmatch("[A-Z0-9]{1,12}", INVOICE_PREFIX):
    raise ImproperlyConfigured("INVOICE_NUMBERING is account: INVOICE_PREFIX must be 1 to 12 capitals or digits.")
# Of a balance that is set before anything has given the customer a currency.
DEFAULT_CURRENCY = env.str("DEFAULT_CURRENCY", default="usd")
if not is_currency(DEFAULT_CURRENCY):
    raise ImproperlyConfigured(f"DEFAULT_CURRENCY is {DEFAULT_CURRENCY}: it must be a currency in small letters.")
# How long the link of a portal session opens the portal. A browser that it has let in stays for an hour.
PORTAL_LINK_SECONDS = env.int("PORTAL_LINK_SECONDS", default=1800)

# --- webhooks --------------------------------------------------------------------------------------
# Lets receivers have plain http, any port, and addresses of private networks: for tests, and for networks of your own.
WEBHOOKS_ALLOW_PRIVATE = env.bool("WEBHOOKS_ALLOW_PRIVATE", default=False)
# Ports that a receiver may have otherwise.
WEBHOOKS_PORTS = [int(port) for port in env.list("WEBHOOKS_PORTS", default=["443"])]
# Pauses before each next attempt. Live: ten attempts over three days; test: three over a few hours, as on Stripe.
_RETRIES = "5 300 1800 7200 18000 36000 50400 72000 72000" if LIVEMODE else "600 10800"
WEBHOOKS_RETRY_SECONDS = [int(pause) for pause in env.str("WEBHOOKS_RETRY_SECONDS", default=_RETRIES).split()]
# An endpoint that has answered nothing but failures for so long is disabled, and the operators are told.
WEBHOOKS_DISABLE_AFTER_DAYS = env.int("WEBHOOKS_DISABLE_AFTER_DAYS", default=3)
# Deliveries to one endpoint at once, of each process.
WEBHOOKS_AT_ONCE = max(1, env.int("WEBHOOKS_AT_ONCE", default=4))

# A file of events with more refused rows than this is not gone through to its end.
USAGE_IMPORT_MAX_ERRORS = env.int("USAGE_IMPORT_MAX_ERRORS", default=100_000)
# Events are kept in the database for so many whole months after that of their receipt, then in files (0: for ever).
# Fewer than four could let an identifier be forgotten that is still refused: see docs/decisions/0031.
EVENTS_KEPT_MONTHS = env.int("EVENTS_KEPT_MONTHS", default=0)
if EVENTS_KEPT_MONTHS != 0 and EVENTS_KEPT_MONTHS < 4:
    raise ImproperlyConfigured(f"EVENTS_KEPT_MONTHS is {EVENTS_KEPT_MONTHS}: it can be 4 or more, or 0 to keep all.")
# Where these files are; several machines share it.
ARCHIVE_DIR = Path(env.str("ARCHIVE_DIR", default="") or home.app_home() / "archive").absolute()

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        # One line a task would bury everything else.
        "celery": {"level": "WARNING"},
        "django_celery_beat": {"level": "WARNING"},
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
