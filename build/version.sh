#!/bin/sh
# Prints the version to stamp: the release tag, or what lies after it; without
# any tag a development version that names the commit.
set -eu
cd "$(dirname "$0")/.."

if tag=$(git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null); then
	echo "$tag"
elif commit=$(git describe --always --dirty --exclude '*' 2>/dev/null); then
	echo "v0.0.0-dev+$(echo "$commit" | tr - .)"
else
	echo "v0.0.0-dev" # a tarball, or a repository without a commit
fi
