package smuggling_test

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/proxy/http1/smuggling"
)

func TestTableIsWhole(t *testing.T) {
	cases, err := smuggling.Cases()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range cases {
		switch {
		case names[c.Name]:
			t.Errorf("%s is there twice", c.Name)
		case c.Raw == "" || c.Want == "" || c.Why == "":
			t.Errorf("%s lacks something: %+v", c.Name, c)
		case c.Accepted() != (len(c.Sees) > 0):
			t.Errorf("%s: a backend sees a request exactly if it is accepted", c.Name)
		case !c.Accepted() && !strings.Contains("400 414 431 501 505", c.Want):
			t.Errorf("%s: %s is no refusal", c.Name, c.Want)
		}
		names[c.Name] = true
	}
}
