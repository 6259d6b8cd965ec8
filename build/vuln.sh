#!/bin/sh
# Looks for known vulnerabilities in the modules given, with govulncheck. Fails
# on findings. The database is on the internet: where it cannot be reached that
# is said in one line and is no failure, because offline builds must work.
# GOVULNDB names another database, e.g. a mirror.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mktemp)
trap 'rm -f "$out"' EXIT

govulncheck() {
	go tool -modfile="$root/tools.mod" govulncheck ${GOVULNDB:+-db "$GOVULNDB"} "$@" >"$out" 2>&1
}

# A tiny package first: whether the database answers shows in a second, while
# the large modules take minutes to load.
cd "$root"
if ! govulncheck ./build/progress && grep -q '^govulncheck: fetching vulnerabilities' "$out"; then
	echo "vuln: skipped, the vulnerability database cannot be reached from here"
	exit 0
fi

for dir in "$@"; do
	# Call graphs of all of Kubernetes need more memory than most machines have:
	# its module is checked by imported package.
	scan=symbol
	[ "$dir" = cluster ] && scan=package
	cd "$root/$dir"
	if ! govulncheck -scan "$scan" ./...; then
		cat "$out"
		echo "vuln: $dir failed" >&2
		exit 1
	fi
	echo "vuln: $dir has no known vulnerability"
done
