"""The OpenAPI document: complete, with examples that its own schemas accept."""

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from api.schemas import admin, avatars, consents, jobs, uploads, usage, videos, webhooks
from tests.gateway_world import open_world

MODULES = (admin, avatars, consents, jobs, uploads, usage, videos, webhooks)
REQUESTS = [
    (model, example)
    for module in MODULES
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, BaseModel)
    for example in (model.model_config.get("json_schema_extra") or {}).get("examples", [])  # type: ignore[union-attr]
    if model.__name__.endswith(("Request", "Change"))
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As the gateway gives it out."""
    with open_world() as (_, client):
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_document_is_of_version_3_1(document: dict[str, Any]) -> None:
    """And names its licence."""
    assert "3.1.0" == document["openapi"]
    assert "Apache-2.0" == document["info"]["license"]["identifier"]


def test_the_routes_of_the_design_are_there(document: dict[str, Any]) -> None:
    """Design, section 5."""
    wanted = {
        ("post", "/v1/uploads"),
        ("post", "/v1/uploads/{upload_id}/complete"),
        ("post", "/v1/avatars"),
        ("get", "/v1/avatars"),
        ("get", "/v1/avatars/{avatar_id}"),
        ("patch", "/v1/avatars/{avatar_id}"),
        ("delete", "/v1/avatars/{avatar_id}"),
        ("post", "/v1/videos"),
        ("get", "/v1/videos"),
        ("get", "/v1/videos/{video_id}"),
        ("delete", "/v1/videos/{video_id}"),
        ("get", "/v1/jobs"),
        ("get", "/v1/jobs/{job_id}"),
        ("post", "/v1/jobs/{job_id}/cancel"),
        ("post", "/v1/jobs/{job_id}/retry"),
        ("get", "/v1/jobs/{job_id}/events"),
        ("post", "/v1/webhooks"),
        ("get", "/v1/webhooks"),
        ("delete", "/v1/webhooks/{webhook_id}"),
        ("get", "/v1/webhooks/{webhook_id}/deliveries"),
        ("get", "/v1/catalog"),
        ("get", "/v1/usage"),
        ("post", "/v1/admin/tenants"),
        ("get", "/v1/admin/tenants"),
        ("get", "/v1/admin/tenants/{tenant_id}/keys"),
        ("post", "/v1/admin/tenants/{tenant_id}/keys"),
        ("get", "/v1/admin/tenants/{tenant_id}/quotas"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }

    assert set() == wanted - {(method, path) for path, method, _ in operations(document)}


def test_operations_are_named_and_explained(document: dict[str, Any]) -> None:
    """Names become methods of generated clients, so they are unique."""
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert sorted(set(names)) == sorted(names)
    assert [] == [name for name in names if "_" in name]
    assert [] == [path for path, _, one in operations(document) if not one.get("description")]


def test_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    """Media type and schema, for each status from 400 on; probes excepted."""
    other = [
        (path, status)
        for path, _, operation in operations(document)
        for status, response in operation["responses"].items()
        if int(status) >= 400 and path not in {"/healthz", "/readyz"}
        if response["content"]["application/problem+json"]["schema"]
        != {"$ref": "#/components/schemas/Problem"}
    ]

    assert [] == other


def test_everything_of_version_1_needs_a_key(document: dict[str, Any]) -> None:
    """And says that it may be refused for it."""
    open_ones = [
        path
        for path, _, operation in operations(document)
        if path.startswith("/v1/")
        and (operation.get("security") != [{"key": []}] or "401" not in operation["responses"])
    ]

    assert [] == open_ones


def test_every_field_is_documented(document: dict[str, Any]) -> None:
    """The text under a field in the code is its description here."""
    silent = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if "description" not in described
    ]

    assert [] == silent


@pytest.mark.parametrize(("model", "example"), REQUESTS)
def test_examples_of_requests_are_accepted(model: type[BaseModel], example: object) -> None:
    """What a newcomer copies works."""
    TypeAdapter(model).validate_python(example)


def test_every_request_has_an_example() -> None:
    """One for each body that can be sent."""
    bodies = {
        model
        for module in MODULES
        for name, model in vars(module).items()
        if name.endswith(("Request", "Change"))
    }

    assert bodies == {model for model, _ in REQUESTS}
