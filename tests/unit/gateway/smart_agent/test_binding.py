import json

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.binding import create_binding, open_binding


def test_a_chain_is_bound_durably(tmp_path):
    path = tmp_path / "agent.json"
    create_binding(path, "file:sealed.key")
    binding = open_binding(path)
    assert (binding.key_uri, binding.chain_id) == ("file:sealed.key", None)

    binding.bind(b"i" * 32)

    assert binding.chain_id == b"i" * 32
    assert open_binding(path).chain_id == b"i" * 32
    assert open_binding(path).key_uri == "file:sealed.key"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        json.dumps({"version": 2, "key": "file:k", "chain_id": None}),
        json.dumps({"version": 1, "key": "file:k", "chain_id": "ab"}),
        json.dumps({"version": 1, "key": "file:k", "chain_id": None, "more": 1}),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "agent.json"
    create_binding(path, "file:sealed.key")
    path.write_text(content)

    with pytest.raises(AgentError, match=f"{path} is damaged") as caught:
        open_binding(path)
    assert "\n" not in str(caught.value)
