# Sourced by the other scripts: makes .venv beside pyproject.toml with the pinned versions, and keeps it up to date.
# It needs Python >= 3.11 with venv and pip. MTL_PYTHON=/path/to/python picks another one than the newest on PATH.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usable() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1
}

find_python() {
  if [ -n "${MTL_PYTHON:-}" ]; then
    if usable "$MTL_PYTHON"; then echo "$MTL_PYTHON"; return; fi
    echo "MTL_PYTHON is '$MTL_PYTHON', which is not a Python >= 3.11 with venv and pip." >&2
    return 2
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if usable "$candidate"; then echo "$candidate"; return; fi
  done
  echo "No Python >= 3.11 with venv and pip on PATH. Install one, or set MTL_PYTHON=/path/to/python." >&2
  return 2
}

# ensure_environment base|dev: installs only where a pin, a dependency or the checkout's place has changed.
ensure_environment() {
  wanted="$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum) $root"
  stamp="$root/.venv/installed-$1"
  if [ -x "$root/.venv/bin/python" ]; then
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  fi
  if ! usable "$root/.venv/bin/python"; then
    python=$(find_python) || return
    echo "Making $root/.venv with $("$python" --version 2>&1)." >&2
    "$python" -m venv --clear "$root/.venv"
  fi
  target=$root
  if [ "$1" = dev ]; then target="$root[dev]"; fi
  echo "Installing the pinned versions: about a minute, longer where a CUDA build of torch is downloaded." >&2
  rm -f "$root/.venv"/installed-*
  "$root/.venv/bin/python" -m pip install --disable-pip-version-check --quiet \
    -c "$root/constraints.txt" -e "$target"
  printf '%s\n' "$wanted" >"$root/.venv/installed-base"
  if [ "$1" = dev ]; then printf '%s\n' "$wanted" >"$stamp"; fi
}
