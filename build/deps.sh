#!/bin/sh
# deps.sh NAME MODULE_DIR PACKAGE writes docs/deps/NAME.txt: the modules, with
# versions, that the program contains. A new dependency shows as a line in the
# diff of a change. One platform is fixed, so that every machine writes the same.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/docs/deps/$1.txt

cd "$root/$2"
list=$(GOOS=linux GOARCH=amd64 CGO_ENABLED=0 go list -deps -f '{{with .Module}}{{if .Version}}{{.Path}} {{.Version}}{{end}}{{end}}' "$3")
echo "$list" | LC_ALL=C sort -u | sed '/^$/d' >"$out"
