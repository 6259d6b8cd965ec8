package arch

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// What a package comment must at least be: enough for a stranger to know
// whether to read on.
const (
	docLines = 3
	docWords = 25
)

// checkDocs holds that every package has a doc.go that says what it does and
// what it never does. Packages of generated files only are left out.
func checkDocs(t *Tree) []Violation {
	var found []Violation
	for _, dir := range t.Packages() {
		var doc *File
		written := false
		for _, f := range t.Files {
			if f.Dir() != dir {
				continue
			}
			written = written || !f.Generated
			if path.Base(f.Path) == "doc.go" {
				doc = &f
			}
		}
		switch {
		case !written:
		case doc == nil:
			found = append(found, violation(dir, "this package has no doc.go"))
		default:
			if fault := docFault(*doc); fault != "" {
				found = append(found, violation(doc.Path, "%s", fault))
			}
		}
	}
	return found
}

func docFault(f File) string {
	text := f.AST.Doc.Text()
	lines := 0
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	name := f.AST.Name.Name
	switch {
	case lines < docLines || len(strings.Fields(text)) < docWords:
		return "the package comment is too short to say what it does, takes, gives and never does"
	case name != "main" && !strings.HasPrefix(text, "Package "+name+" "):
		return "the package comment does not begin with \"Package " + name + "\""
	case !strings.Contains(strings.ToLower(text), "never"):
		return "the package comment does not say what the package never does"
	}
	return ""
}

const (
	mapFile  = "ARCHITECTURE.md"
	mapLines = 300
)

// checkCodeMap holds that the code map names every package and nothing else. A
// path that ends in /** stands for all that lies below it.
func checkCodeMap(t *Tree) []Violation {
	text := t.text(mapFile)
	entries, found := codeMap(text)
	if n := strings.Count(text, "\n"); n > mapLines {
		found = append(found, violation(mapFile, "%d lines, more than %d", n, mapLines))
	}
	for _, dir := range t.Packages() {
		if !slices.ContainsFunc(entries, func(e string) bool { return covers(e, dir) }) {
			found = append(found, violation(mapFile, "the code map lacks %s", dir))
		}
	}
	for _, e := range entries {
		if !slices.Contains(t.Paths, strings.TrimSuffix(e, "/**")) {
			found = append(found, violation(mapFile, "the code map names %s, which does not exist", e))
		}
	}
	return found
}

func covers(entry, dir string) bool {
	if below, ok := strings.CutSuffix(entry, "/**"); ok {
		return strings.HasPrefix(dir, below+"/")
	}
	return strings.TrimSuffix(entry, "/") == dir
}

// codeMap reads the rows of the tables in the section "Code map": path, what it
// does, what it never does.
func codeMap(text string) (entries []string, found []Violation) {
	_, section, ok := strings.Cut(text, "\n## Code map\n")
	if !ok {
		return nil, []Violation{violation(mapFile, "there is no section \"## Code map\"")}
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		first := strings.TrimSpace(cells[0])
		if len(first) < 2 || first[0] != '`' {
			continue
		}
		name := strings.Trim(first, "`")
		entries = append(entries, name)
		for i, column := range []string{"what it does", "what it never does"} {
			if len(cells) <= i+1 || strings.TrimSpace(cells[i+1]) == "" {
				found = append(found, violation(mapFile, "the row of %s does not say %s", name, column))
			}
		}
	}
	return entries, found
}

// checkLinks holds that the relative links in all documents lead somewhere.
func checkLinks(t *Tree) []Violation {
	link := regexp.MustCompile(`\]\(([^()\s]+)\)`)
	var found []Violation
	for _, name := range t.Paths {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(prose(t.text(name)), -1) {
			if fault := linkFault(t, name, m[1]); fault != "" {
				found = append(found, violation(name, "the link %s %s", m[1], fault))
			}
		}
	}
	return found
}

func linkFault(t *Tree, from, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := from
	if file != "" {
		target = path.Join(path.Dir(from), file)
	}
	if strings.HasPrefix(target, "..") {
		return "" // a page of the hosting site, such as ../../security/advisories/new
	}
	if !slices.Contains(t.Paths, target) {
		return "leads nowhere"
	}
	if anchor != "" && path.Ext(target) == ".md" && !slices.Contains(anchors(t.text(target)), anchor) {
		return "names a heading that does not exist"
	}
	return ""
}

// prose drops fenced code blocks and inline code.
func prose(text string) string {
	text = regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

// anchors lists the names that headings get on a hosting site.
func anchors(text string) []string {
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(text, -1) {
		name := drop.ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(strings.TrimSpace(name), " ", "-"))
	}
	return names
}

// checkTwins holds that the Portuguese README shows the same commands and has
// the same sections as the English one.
func checkTwins(t *Tree) []Violation {
	const english, portuguese = "README.md", "README.pt-BR.md"
	a, b := t.text(english), t.text(portuguese)
	var found []Violation
	if len(anchors(a)) != len(anchors(b)) {
		found = append(found, violation(portuguese, "%d headings, but %s has %d", len(anchors(b)), english, len(anchors(a))))
	}
	commands := regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	if !slices.Equal(commands.FindAllString(a, -1), commands.FindAllString(b, -1)) {
		found = append(found, violation(portuguese, "its ```sh blocks are not those of %s", english))
	}
	return found
}
