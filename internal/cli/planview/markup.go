package planview

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// markup builds HTML. Everything that is not a constant goes through esc or an
// attribute, both of which escape; html/template would do so by itself, but it
// calls methods by name, and the linker then keeps every method of Kubernetes
// in the full program (docs/adr/0004).
type markup struct{ buf bytes.Buffer }

// raw writes markup; format must be a constant, and its values numbers or
// already escaped.
func (m *markup) raw(format string, values ...any) {
	if len(values) == 0 {
		m.buf.WriteString(format)
		return
	}
	fmt.Fprintf(&m.buf, format, values...)
}

// esc writes escaped text.
func (m *markup) esc(s string) { m.buf.WriteString(html.EscapeString(s)) }

// el writes an element with escaped text in it; attrs is constant markup.
func (m *markup) el(tag, attrs, text string) {
	m.open(tag, attrs)
	m.esc(text)
	m.buf.WriteString("</" + tag + ">")
}

func (m *markup) open(tag, attrs string) {
	m.buf.WriteString("<" + tag)
	if attrs != "" {
		m.buf.WriteString(" " + attrs)
	}
	m.buf.WriteString(">")
}

// attr is an attribute with an escaped value, for the attrs of el and open.
func attr(name, value string) string { return name + `="` + html.EscapeString(value) + `"` }

// table writes a table with a caption; the first column names the row. Columns
// whose title begins with ">" hold numbers.
func (m *markup) table(caption string, titles []string, rows [][]string) {
	m.raw(`<div class="scroll" tabindex="0" role="region" `)
	m.buf.WriteString(attr("aria-label", caption) + `><table>`)
	m.el("caption", "", caption)
	m.raw("<thead><tr>")
	for _, t := range titles {
		class := ""
		if strings.HasPrefix(t, ">") {
			class = ` class="n"`
		}
		m.el("th", `scope="col"`+class, strings.TrimPrefix(t, ">"))
	}
	m.raw("</tr></thead><tbody>")
	for _, row := range rows {
		m.raw("<tr>")
		for i, c := range row {
			switch {
			case i == 0:
				m.el("th", `scope="row"`, c)
			case strings.HasPrefix(titles[i], ">"):
				m.el("td", `class="n"`, c)
			default:
				m.el("td", "", c)
			}
		}
		m.raw("</tr>")
	}
	m.raw("</tbody></table></div>\n")
}

// details writes a part that is folded away; body writes what is in it.
func (m *markup) details(title string, body func()) {
	m.raw("<details>")
	m.el("summary", "", title)
	body()
	m.raw("</details>\n")
}

// section writes a titled part of the page.
func (m *markup) section(id, title, lead string, body func()) {
	m.raw(`<section id="%s" aria-labelledby="h-%s">`, id, id)
	m.el("h2", `id="h-`+id+`"`, title)
	if lead != "" {
		m.el("p", `class="lead"`, lead)
	}
	body()
	m.raw("</section>\n")
}
