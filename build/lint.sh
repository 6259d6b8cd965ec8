#!/bin/sh
# Runs golangci-lint in each module given, all with the one configuration, and
# fails when any of them has a finding.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

# Type-checking Kubernetes takes 12 GB of memory with Go's default, 8 GB so.
export GOGC="${GOGC:-40}"

failed=""
for dir in "$@"; do
	start=$(date +%s)
	cd "$root/$dir"
	if go tool -modfile="$root/tools.mod" golangci-lint run --config "$root/.golangci.yml" ./...; then
		echo "lint: $dir is clean ($(($(date +%s) - start)) s)"
	else
		failed="$failed $dir"
	fi
done
if [ -n "$failed" ]; then
	echo "lint: findings in:$failed" >&2
	exit 1
fi
