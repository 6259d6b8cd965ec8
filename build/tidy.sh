#!/bin/sh
# tidy.sh [-w] MODULE_DIR...
# Fails when a go.mod or go.sum is not what `go mod tidy` would write, in the
# modules given and for tools.mod. With -w it writes them instead.
set -eu
cd "$(dirname "$0")/.."

mode=-diff
if [ "${1:-}" = -w ]; then
	mode=""
	shift
fi

failed=""
for dir in "$@"; do
	if ! (cd "$dir" && go mod tidy $mode); then
		failed="$failed $dir/go.mod"
	fi
done

# Beside the root module's packages, go mod tidy would add all their imports to
# tools.mod; so it works on a copy in an empty folder.
alone=$(mktemp -d)
trap 'rm -rf "$alone"' EXIT
cp tools.mod "$alone/go.mod"
cp tools.sum "$alone/go.sum"
if ! (cd "$alone" && go mod tidy $mode); then
	failed="$failed tools.mod"
fi
if [ -z "$mode" ]; then
	cp "$alone/go.mod" tools.mod
	cp "$alone/go.sum" tools.sum
fi

if [ -n "$failed" ]; then
	echo "tidy: not tidy:$failed; run: make tidy" >&2
	exit 1
fi
