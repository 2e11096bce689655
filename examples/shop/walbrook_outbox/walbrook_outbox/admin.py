from django.contrib import admin

from .models import Event


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    """For looking only: an event has happened, and rows go by `manage.py outbox_purge`."""

    list_display = ["created_at", "aggregatetype", "aggregateid", "type", "id"]
    list_display_links = ["id"]
    # The key is in the order of time, and the only index.
    ordering = ["-id"]
    sortable_by = []
    # No second count of a table that may be large.
    show_full_result_count = False

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
