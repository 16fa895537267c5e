# shellcheck shell=bash
# Sourced by every script: finds a Python and makes .venv from the pinned, hashed locks.
# Rule: wheels only, nothing is compiled; a .venv that is up to date costs no time, a broken one is made anew.

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"
VENV="$REPO/.venv"
STAMP="$VENV/.installed"       # what was installed; written last
UNFINISHED="$VENV/.unfinished" # exists while an installation runs, and after one that was cut off
PYTHON_MIN="3.11"

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "${0##*/}: $*"
  exit 1
}

python_is_usable() { # python_is_usable COMMAND : new enough, and able to make a virtual environment
  "$1" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < (${PYTHON_MIN/./, }))" >/dev/null 2>&1
}

find_python() { # prints the first usable Python's command
  local candidate
  for candidate in ${SMARTSHARE_PYTHON:-python3.13 python3.12 python3.11 python3}; do
    if python_is_usable "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

apt_install() { # apt_install PACKAGE... : as root, or through sudo
  local -a as_root=()
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null || return 1
    as_root=(sudo)
  fi
  say "Installing with apt-get: $*"
  # RUNLEVEL=1: packages that bring a daemon do not start it.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
      apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

require_python() { # prints a usable Python's command, installing Debian's where none is there
  if ! find_python; then
    if command -v apt-get >/dev/null; then
      apt_install python3 python3-venv || say "apt-get could not install Python"
    fi
    find_python ||
      fail "Python $PYTHON_MIN or newer with venv is needed; install it (Debian, Ubuntu: python3 python3-venv)"
  fi
}

require_64_bit() { # require_64_bit PYTHON
  "$1" -c 'import sys; sys.exit(sys.maxsize < 2**32)' ||
    fail "a 64-bit system is needed (x86-64 or aarch64): there are no packages for 32-bit ones"
}

lock_files() { # lock_files LEVEL : prints one path a line
  case "$1" in
    runtime) printf '%s\n' requirements.lock requirements-build.lock ;;
    dev) printf '%s\n' requirements-dev.lock ;;
  esac
}

pip_install() { # pip_install PYTHON ARGUMENTS... : errors only, asks nothing
  local python="$1"
  shift
  "$python" -m pip install --quiet --quiet --no-input --disable-pip-version-check --progress-bar off "$@"
}

pip_install_locked() { # pip_install_locked PYTHON LOCK... : exactly what the locks name
  local python="$1" lock
  shift
  local -a requirements=()
  for lock in "$@"; do requirements+=(--requirement "$REPO/$lock"); done
  pip_install "$python" --require-hashes --no-deps --only-binary :all: "${requirements[@]}"
}

stamp_of() { # stamp_of LEVEL : changes with the locks, the package's metadata, the Python and the folder
  printf '%s %s\n' "$1" "$VENV"
  "$VENV/bin/python" --version
  (cd "$REPO" && sha256sum pyproject.toml requirements*.lock)
}

is_up_to_date() { # is_up_to_date LEVEL : a developer's environment serves for running too
  [[ -f $STAMP && -f $VENV/pyvenv.cfg ]] || return 1
  local installed
  installed="$(cat "$STAMP")"
  [[ $installed == "$(stamp_of "$1" 2>/dev/null)" ]] ||
    [[ $1 == runtime && $installed == "$(stamp_of dev 2>/dev/null)" ]]
}

is_sound() { # the folder holds a working environment, made for this place by an installation that ended
  [[ ! -e $UNFINISHED ]] &&
    grep -qF "$VENV" "$VENV/pyvenv.cfg" 2>/dev/null &&
    python_is_usable "$VENV/bin/python" &&
    "$VENV/bin/python" -c 'import pip' 2>/dev/null
}

compile_packages() { # once, before many processes start at the same time; a checkout that is read-only does without
  "$VENV/bin/python" -m compileall -qq "$REPO"/{gateway,ledger,edge_contracts,device_profiles} >/dev/null || true
}

make_environment() { # make_environment LEVEL
  local python
  local -a locks
  mapfile -t locks < <(lock_files "$1")
  if ! is_sound; then
    python="$(require_python)"
    require_64_bit "$python"
    say "Making .venv with $("$python" --version) (about half a minute)"
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
  else
    say "Bringing .venv up to date"
  fi
  rm -f "$STAMP"
  : >"$UNFINISHED"
  pip_install_locked "$VENV/bin/python" "${locks[@]}"
  pip_install "$VENV/bin/python" --no-deps --no-build-isolation --editable "$REPO"
  compile_packages
  stamp_of "$1" >"$STAMP"
  rm -f "$UNFINISHED"
}

ensure_environment() { # ensure_environment runtime|dev : one at a time, also when scripts run side by side
  local held
  exec {held}<"$REPO/pyproject.toml"
  flock "$held"
  is_up_to_date "$1" || make_environment "$1"
  exec {held}<&-
}
