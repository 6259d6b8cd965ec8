package route

import (
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// side is which of the two messages is edited.
type side uint8

const (
	request side = iota
	response
)

// Edit is a compiled connect.HeaderEdit.
//
// What the proxy itself answers for is refused when it is compiled: hop-by-hop
// fields, Content-Length, Trailer and, but for setting it on requests, Host. To
// remove a hop-by-hop field is allowed and does nothing, since none is passed on.
type Edit struct {
	remove []message.Field
	set    []message.Field
	add    []message.Field
	// authority replaces Host; empty: it stays.
	authority string
}

// Apply changes the fields of a head: first what is removed, then what is set (in
// the place of the first field of that name), then what is added. A nil Edit
// changes nothing. It takes memory only where Fields has to grow.
// O(fields x changes).
func (e *Edit) Apply(h *message.Head) {
	if e == nil {
		return
	}
	for i := range e.remove {
		h.Remove(e.remove[i].ID, e.remove[i].Name)
	}
	for i := range e.set {
		setField(h, e.set[i])
	}
	h.Fields = append(h.Fields, e.add...)
	if e.authority != "" {
		h.Authority = e.authority
	}
}

// setField leaves one field of this name.
func setField(h *message.Head, f message.Field) {
	found := false
	kept := h.Fields[:0]
	for _, old := range h.Fields {
		same := old.ID == f.ID && (f.ID != message.IDOther || message.EqualFold(old.Name, f.Name))
		switch {
		case !same:
			kept = append(kept, old)
		case !found:
			found = true
			kept = append(kept, f)
		}
	}
	if !found {
		kept = append(kept, f)
	}
	h.Fields = kept
}

// edit compiles header changes; nil: there are none.
func (c *compiler) edit(field string, config *connect.HeaderEdit, of side) *Edit {
	if len(config.Set)+len(config.Add)+len(config.Remove) == 0 {
		return nil
	}
	e := &Edit{}
	for i, name := range config.Remove {
		id := message.Lookup(name)
		if isOwn(id) && !id.HopByHop() || !isToken(name) {
			c.problems.add(field+"."+item("remove", i), "%q is no field that can be removed", name)
		}
		e.remove = append(e.remove, message.Field{Name: strings.ToLower(name), ID: id})
	}
	for i := range config.Set {
		f := c.field(field+"."+item("set", i), config.Set[i])
		if f.ID == message.IDHost && of == request && f.Value != "" {
			e.authority = f.Value
			continue
		}
		c.checkOwn(field+"."+item("set", i), f)
		e.set = append(e.set, f)
	}
	for i := range config.Add {
		f := c.field(field+"."+item("add", i), config.Add[i])
		c.checkOwn(field+"."+item("add", i), f)
		e.add = append(e.add, f)
	}
	e.add = slices.Clip(e.add)
	return e
}

func (c *compiler) field(field string, v connect.HeaderValue) message.Field {
	if !isToken(v.Name) {
		c.problems.add(field+".name", "%q is no name of a field", v.Name)
	}
	if !isFieldValue(v.Value) {
		c.problems.add(field+".value", "%q holds a control character", v.Value)
	}
	return message.Field{Name: v.Name, Value: strings.Trim(v.Value, " \t"), ID: message.Lookup(v.Name)}
}

func (c *compiler) checkOwn(field string, f message.Field) {
	if isOwn(f.ID) {
		c.problems.add(field+".name", "%q belongs to the connection and is set by the proxy; take it out", f.Name)
	}
}

// isOwn says that only the proxy sets a field.
func isOwn(id message.ID) bool {
	return id.HopByHop() || id == message.IDContentLength || id == message.IDTrailer || id == message.IDHost
}

// isToken says that s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// isFieldValue says that s can stand in a field line (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
