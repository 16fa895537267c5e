# shellcheck shell=bash
# Sourced by scripts/check and scripts/test after environment.sh: the linters, and pytest.

PYTEST_NO_TESTS=5 # pytest's exit code when the selection holds no test

run_linters() {
  (
    cd "$REPO" || exit
    "$VENV/bin/ruff" format --check .
    "$VENV/bin/ruff" check .
    "$VENV/bin/mypy"
    "$VENV/bin/lint-imports"
  )
}

run_pytest() { # run_pytest ARGUMENTS... : a selection without tests is no failure
  local code=0
  (cd "$REPO" && "$VENV/bin/python" -m pytest "$@") || code=$?
  [[ $code -eq 0 || $code -eq $PYTEST_NO_TESTS ]] || return "$code"
}
