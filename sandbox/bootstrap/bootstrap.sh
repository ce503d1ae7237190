#!/bin/sh
# Finds a Python that can install the rest and hands over to sandbox.bootstrap.install.
#
# Usage: bootstrap.sh [venv] [node] [anvil] [contracts] [train]   install what is missing
#        bootstrap.sh lock [--upgrade]                            re-make requirements/*.lock
# A missing prerequisite ends with exit code 1 and one line that names it.
set -eu

fail() {
    printf 'bootstrap: %s\n' "$1" >&2
    exit 1
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
cd "$root"

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
    fail "this runs on Linux x86-64 only, and this machine is $(uname -s) $(uname -m)"

# An environment that was completed once brings its own Python; asking it saves the search.
if [ -f "$root/.venv/.caas-ready" ] && [ -x "$root/.venv/bin/python" ]; then
    exec "$root/.venv/bin/python" -E -s -S -B -m sandbox.bootstrap.install "$@"
fi

probe='
import sys
if sys.version_info < (3, 11):
    sys.exit("is version %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("lacks venv (Debian, Ubuntu: install python%d.%d-venv)" % sys.version_info[:2])
print(sys.executable)
'
seen=''

# Hands over to this Python if it will do, and notes down why not otherwise.
try_python() {
    candidate=$1
    shift
    command -v "$candidate" >/dev/null 2>&1 || return 0
    suitable=yes
    answer=$("$candidate" -I -B -c "$probe" 2>&1) || suitable=no
    answer=$(printf '%s\n' "$answer" | tail -n 1)
    if [ $suitable = yes ]; then
        exec "$answer" -E -s -S -B -m sandbox.bootstrap.install "$@"
    fi
    seen="$seen; $candidate ${answer:-does not run}"
}

if [ -n "${PYTHON:-}" ]; then
    try_python "$PYTHON" "$@"
else
    for name in python3 python3.13 python3.12 python3.11; do
        try_python "$name" "$@"
    done
fi
fail "Python 3.11 or newer with venv is needed${PYTHON:+ as PYTHON=$PYTHON}${seen:-; none was found}"
