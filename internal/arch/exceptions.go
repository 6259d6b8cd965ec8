package arch

// Exceptions is the one list of what may break a rule, and why. It is short on
// purpose: a rule with many exceptions is the wrong rule.
func Exceptions() []Exception {
	return []Exception{}
}
