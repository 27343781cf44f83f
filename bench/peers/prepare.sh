#!/usr/bin/env bash
# Installs the peers into run/bench, each with the versions that are pinned here. A peer that can't be installed is left out,
# with the reason: `make bench` then runs without it.
set -uo pipefail
cd "$(dirname "$0")/../.."
run=run/bench
mkdir -p "$run"

leave_out() {
  echo "$1 is left out: $2" >&2
  rm -rf "${run:?}/$1"
}

# Whether what is there was made from the files that are here.
current() {
  local made=$run/$1/.made-from
  [ -f "$made" ] && [ "$(cat "$made")" = "$(digest "$1")" ]
}

digest() {
  find "bench/peers/$1" -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum
}

python_peer() {
  local python base=$run/python
  python=$(command -v python3) || { leave_out python 'python3 is missing'; return; }
  rm -rf "$base"
  "$python" -m venv --without-pip "$base/venv" || { leave_out python 'python3 -m venv fails'; return; }
  "$python" -m pip --quiet --disable-pip-version-check --python "$base/venv/bin/python" \
    install --no-deps -r bench/peers/python/requirements.txt >"$base/install.log" 2>&1 ||
    { tail -3 "$base/install.log" >&2; leave_out python 'its packages could not be installed'; return; }
  mkdir "$base/app"
  cp bench/peers/python/*.py "$base/app/"
  # Compiled beforehand: else the first of the processes that are measured would do it, and only that one.
  "$base/venv/bin/python" -m compileall -q "$base/app" "$base/venv/lib" >/dev/null
  digest python >"$base/.made-from"
}

node_peer() {
  local base=$run/node
  command -v npm >/dev/null && command -v node >/dev/null || { leave_out node 'node or npm is missing'; return; }
  rm -rf "$base"
  mkdir -p "$base"
  cp bench/peers/node/* "$base/"
  (cd "$base" && npm ci --ignore-scripts --no-audit --no-fund) >"$base/install.log" 2>&1 ||
    { tail -3 "$base/install.log" >&2; leave_out node 'its packages could not be installed'; return; }
  mkdir "$base/app"
  (cd "$base" && node_modules/.bin/esbuild index.js --bundle --minify --platform=node --target=node20 --format=esm \
    --banner:js='import{createRequire}from"node:module";const require=createRequire(import.meta.url);' \
    --outfile=app/index.mjs --log-level=error) || { leave_out node 'it could not be bundled'; return; }
  digest node >"$base/.made-from"
}

current python || python_peer
current node || node_peer
exit 0
