# shellcheck shell=bash
# Sourced by scripts/check and scripts/test after environment.sh: the linters, pytest, and something beside them.

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

beside=0 # the process group of what runs beside; 0: nothing does

run_beside() { # run_beside LOG COMMAND... : in a group of its own, whose tests clean up when they are interrupted
  local log="$1"
  shift
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  beside=$!
  set +m
}

stop_beside() {
  [[ $beside -eq 0 ]] || ! kill -INT -- "-$beside" 2>/dev/null || wait "$beside" || true
}

join_beside() { # join_beside LOG : shows what it said; fails where it failed
  local code=0
  wait "$beside" || code=$?
  beside=0
  cat "$1"
  return "$code"
}
