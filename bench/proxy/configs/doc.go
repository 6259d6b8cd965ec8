// Package configs holds the configurations of all servers that are compared.
//
// In: nothing. Out: [Files], templates (text/template) whose values are those
// of peer.Spec; addresses are host:port and files are absolute paths. Each says
// at its top what differs from the defaults and why, so that a reader can judge
// whether the comparison is fair. It never renders them. Read any of them.
package configs

import "embed"

// Files are the templates.
//
//go:embed *.tmpl
var Files embed.FS
