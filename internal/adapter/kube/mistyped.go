package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

var errMistyped = errors.New("is not")

// inWords says which value has the wrong type, in words for those who wrote it.
func inWords(object []byte, err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok || wrong.Field == "" {
		return err
	}
	var all any
	if json.Unmarshal(object, &all) != nil {
		return err
	}
	value, found := mistyped(all, strings.Split(wrong.Field, "."), wrong.Value)
	if !found {
		return fmt.Errorf("%s: a value of type %s %w %s", wrong.Field, wrong.Value, errMistyped, expected(wrong.Type))
	}
	text, _ := json.Marshal(value) // it was JSON just now
	return fmt.Errorf("%s: %s %w %s", wrong.Field, text, errMistyped, expected(wrong.Type))
}

// mistyped follows a path, in which lists have no index, to the first value of
// a type.
func mistyped(in any, path []string, kind string) (any, bool) {
	if list, ok := in.([]any); ok && len(path) > 0 {
		for _, e := range list {
			if v, found := mistyped(e, path, kind); found {
				return v, true
			}
		}
		return nil, false
	}
	if len(path) == 0 {
		return in, strings.HasPrefix(kind, kindOf(in))
	}
	fields, ok := in.(map[string]any)
	if !ok {
		return in, strings.HasPrefix(kind, kindOf(in))
	}
	next, ok := fields[path[0]]
	if !ok {
		return nil, false
	}
	return mistyped(next, path[1:], kind)
}

// kindOf is the type of a value as the decoder names it.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "array"
	}
	return "object"
}

func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "text; put it in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "an object"
	}
}
