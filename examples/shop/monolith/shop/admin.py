from django.contrib import admin

from .models import Customer, Order, OrderLine, Payment, Product


class ReadOnly:
    """Orders and payments change by the services alone, which also publish what happened."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ["name", "email", "country", "joined_at"]
    search_fields = ["name", "email"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "sku", "price", "stock", "updated_at"]
    search_fields = ["name", "sku"]


class OrderLineInline(ReadOnly, admin.TabularInline):
    model = OrderLine


@admin.register(Order)
class OrderAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "customer", "status", "total", "placed_at"]
    list_filter = ["status"]
    list_select_related = ["customer"]
    inlines = [OrderLineInline]


@admin.register(Payment)
class PaymentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "order", "amount", "method", "paid_at"]
    list_select_related = ["order"]
