from django.urls import path

from . import views

urlpatterns = [
    path("health", views.health),
    path("catalog", views.catalog),
    path("customers", views.customers),
    path("orders", views.orders),
    path("orders/<int:order_id>", views.order),
    path("orders/<int:order_id>/pay", views.pay),
    path("orders/<int:order_id>/ship", views.ship),
    path("orders/<int:order_id>/cancel", views.cancel),
    path("products/<int:product_id>", views.product),
]
