package planview

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

//go:embed texts/*.json
var textFiles embed.FS

// Lang is a language with its sentences and its way of writing numbers.
type Lang struct {
	Name string
	// texts by key; {0}, {1} … stand for values.
	texts map[string]string
}

// Langs are the names of all languages, the default first.
func Langs() []string { return []string{"en", "pt-BR"} }

// LangNamed loads a language.
func LangNamed(name string) (Lang, error) {
	l := Lang{Name: name}
	content, err := textFiles.ReadFile("texts/" + name + ".json")
	if err != nil {
		return l, fmt.Errorf("language %q: there is %s", name, strings.Join(Langs(), " and "))
	}
	if err := json.Unmarshal(content, &l.texts); err != nil {
		return l, fmt.Errorf("texts of %s: %w", name, err)
	}
	return l, nil
}

// text is the sentence of a key with its values, or the key itself, which a
// reader will report.
func (l Lang) text(key string, values ...string) string {
	s, ok := l.texts[key]
	if !ok {
		return key
	}
	for i, v := range values {
		s = strings.ReplaceAll(s, "{"+strconv.Itoa(i)+"}", v)
	}
	return s
}

// has says whether the language has a sentence for the key.
func (l Lang) has(key string) bool { _, ok := l.texts[key]; return ok }

// number writes digits with the separators of the language.
func (l Lang) number(english string) string {
	if l.Name != "pt-BR" {
		return english
	}
	return strings.NewReplacer(",", ".", ".", ",").Replace(english)
}

// money is an amount to the cent.
func (l Lang) money(m unit.NanoUSD) string {
	sign, text := "", m.Cents()
	if strings.HasPrefix(text, "-") {
		sign, text = "−", text[1:]
	}
	return sign + l.text("currency") + l.number(text)
}

// signed is an amount with a sign unless it is zero.
func (l Lang) signed(m unit.NanoUSD) string {
	if text := l.money(m); strings.HasPrefix(text, "−") || m.Cents() == "0.00" {
		return text
	}
	return "+" + l.money(m)
}

func (l Lang) count(n int) string { return l.number(count(n)) }

func (l Lang) percent(x float64) string { return percent(x) }

// decimal writes a number with the decimals given.
func (l Lang) decimal(x float64, decimals int) string {
	return l.number(strconv.FormatFloat(x, 'f', decimals, 64))
}

func (l Lang) date(t time.Time) string { return t.Format(l.text("date-layout")) }
