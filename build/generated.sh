#!/bin/sh
# Runs `make generate` and fails when that changes a file, so that generated
# files are never out of date. Files that were changed before are compared as
# they are: nothing needs to be committed first.
set -eu
cd "$(dirname "$0")/.."

before=$(mktemp)
after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT

snapshot() {
	git ls-files -z --cached --others --exclude-standard | sort -z | xargs -0 sha256sum 2>/dev/null || true
}

snapshot >"$before"
"${MAKE:-make}" --no-print-directory generate
snapshot >"$after"
if ! changed=$(diff "$before" "$after"); then
	echo "generated: make generate changes these files; commit what it writes:" >&2
	echo "$changed" | sed -n 's/^[<>] [0-9a-f]*  /  /p' | sort -u >&2
	exit 1
fi
