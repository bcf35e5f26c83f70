"""The pages: the workbench, the documentation of the API, and the one that asks for a token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from hybrid_search.serve.access import Access, cookie_at, headers_of, token_of_form
from hybrid_search.serve.layer import Receive, Scope, Send

STATIC = Path(__file__).parent / "static"

pages = APIRouter(include_in_schema=False)

_templates = Environment(
    loader=PackageLoader("hybrid_search.serve"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of a template; every value is escaped."""
    return HTMLResponse(_templates.get_template(template).render(**values), status)


@pages.get("/")
async def workbench(request: Request) -> Response:
    """The workbench; an address with the token in it becomes a cookie and an address without."""
    access: Access = request.app.state.access
    if "token" in request.query_params:
        return _with_cookie(request.query_params["token"], request.headers.get("host", ""), access)
    about = request.app.state.workbench.about()
    return rendered("workbench.html", about=about, index=about["index"])


@pages.get("/docs")
async def documentation(request: Request) -> Response:
    """The API in words, made from ``/openapi.json``."""
    schema = request.app.openapi()
    return rendered("docs.html", index=request.app.state.workbench.index, api=schema, operations=operations(schema))


@pages.post("/login")
async def login(request: Request) -> Response:
    """Take the token of the form."""
    host = request.headers.get("host", "")
    return _with_cookie(token_of_form(await request.body()), host, request.app.state.access)


def _with_cookie(token: str, host: str, access: Access) -> Response:
    if not access.knows(token):
        return rendered("login.html", 401, wrong=True)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(cookie_at(host), token, httponly=True, samesite="strict", path="/")
    return answer


class LoginPage:
    """Answers a page request without a token; one whose address has the right token gets the cookie."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        host = headers_of(scope).get("host", "")
        answer = _with_cookie(token, host, self._access) if token else rendered("login.html", 401, wrong=False)
        await answer(scope, receive, send)


def operations(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every operation of an OpenAPI document with its parameters in one list."""
    found = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            found.append(
                {
                    "id": operation.get("operationId", path.strip("/")),
                    "method": method.upper(),
                    "path": path,
                    "tag": operation.get("tags", ["Other"])[0],
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "parameters": [*_parameters(operation, schema), *_properties(operation, schema)],
                }
            )
    return found


def _parameters(operation: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = operation.get("parameters", ())
    return [_described(one["name"], one, one["schema"], schema, required=bool(one.get("required"))) for one in given]


def _properties(operation: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is None:
        return []
    kind = _resolved(body, schema)
    required = kind.get("required", ())
    return [_described(name, one, one, schema, required=name in required) for name, one in kind["properties"].items()]


def _described(
    name: str, said: Mapping[str, Any], kind: Mapping[str, Any], schema: Mapping[str, Any], *, required: bool
) -> dict[str, Any]:
    text = said.get("description", "")
    return {"name": name, "type": _type(_resolved(kind, schema)), "required": required, "text": text}


def _resolved(kind: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = kind.get("$ref")
    if reference is None:
        return kind
    found: Mapping[str, Any] = schema["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return found


def _type(kind: Mapping[str, Any]) -> str:
    if "anyOf" in kind:
        return " or ".join(_type(one) for one in kind["anyOf"] if one.get("type") != "null")
    name = str(kind.get("type", "object"))
    if name == "array":
        return f"list of {_type(kind.get('items', {}))}"
    return {"object": "object", "integer": "whole number", "string": "text", "boolean": "true or false"}.get(name, name)
