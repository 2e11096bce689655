from django.apps import AppConfig


class WalbrookOutboxConfig(AppConfig):
    name = "walbrook_outbox"
    verbose_name = "Outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import checks  # noqa: F401  (registers them)
