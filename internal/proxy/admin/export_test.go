package admin

import "reflect"

// Named says whether the values of a type have names in a dump.
func Named(t reflect.Type) bool { return enums[t] != nil }
