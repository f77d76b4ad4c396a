"""Makes schemathesis send the description's examples too: random bodies alone rarely succeed."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import HookContext


@schemathesis.hook
def flatmap_body(context: HookContext, body: Any) -> st.SearchStrategy[Any]:
    assert context.operation is not None
    content = context.operation.definition.raw.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example", body)
    return st.sampled_from([example, example, body])
