package smuggling

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed table.txt
var table string

// Case is one input of a client and what must come of it.
type Case struct {
	Name string
	// Raw is what the client sends on a new connection.
	Raw string
	// Want is the status with which the first request is answered, or "accept":
	// then the backend decides.
	Want string
	// Sees is every request that a backend may see whole, in order, as
	// "METHOD authority target" and the body as a quoted string if there is one.
	Sees []string
	// Why names the rule, and the attack or the implementation where it is known.
	Why string
}

// Accepted says that the first request is passed on.
func (c *Case) Accepted() bool { return c.Want == "accept" }

// Cases parses the table.
func Cases() ([]Case, error) {
	var cases []Case
	var c Case
	for n, line := range strings.Split(table+"\n", "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line == "" {
			if c.Name != "" {
				cases = append(cases, c)
			}
			c = Case{}
			continue
		}
		key, value, _ := strings.Cut(line, ": ")
		if err := c.set(key, value); err != nil {
			return nil, fmt.Errorf("table.txt, line %d: %w", n+1, err)
		}
	}
	return cases, nil
}

func (c *Case) set(key, value string) (err error) {
	switch key {
	case "name":
		c.Name = value
	case "raw":
		c.Raw, err = strconv.Unquote(value)
	case "want":
		c.Want = value
	case "sees":
		c.Sees = append(c.Sees, value)
	case "why":
		c.Why = value
	default:
		err = fmt.Errorf("key %q is not known", key)
	}
	return err
}
