#!/bin/sh
# Says what is wrong when Go is missing or too old to read our go.mod files.
# Go 1.21 and later fetch the toolchain that go.mod asks for by themselves.
set -eu
cd "$(dirname "$0")/.."

want=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
if ! command -v go >/dev/null 2>&1; then
	echo "Go is not installed: get Go $want or later from https://go.dev/dl/" >&2
	exit 1
fi
version=$(go env GOVERSION)
case $version in
go1.[0-9] | go1.[0-9].* | go1.1[0-9] | go1.1[0-9].* | go1.20 | go1.20.* | "")
	echo "$(command -v go) is ${version:-too old}: get Go $want or later from https://go.dev/dl/" >&2
	exit 1
	;;
esac
