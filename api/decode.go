package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"flotilla/units"
)

// maxBody bounds a batch of units, maxSmall every other request.
const (
	maxBody  = 64 << 20
	maxSmall = 1 << 20
)

// decode reads one small JSON object strictly; anything after it is a fault.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSmall))
	err := strictly(dec, into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON object")
		}
	}
	if err == nil {
		return nil
	}
	return badBody(err, "request body")
}

// strictly reads the next JSON value, which must be an object whose fields are those of the struct that into
// points to, in the same letters and once each. encoding/json alone takes TARGET for target, the last of
// two, and replaces bytes that are no UTF-8.
func strictly(dec *json.Decoder, into any) error {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	if !utf8.Valid(raw) {
		return errors.New("it holds bytes that are no UTF-8")
	}
	if err := checkFields(json.NewDecoder(bytes.NewReader(raw)), fieldsOf(reflect.TypeOf(into).Elem())); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// fieldsOf are the names that a struct has in JSON.
func fieldsOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

// checkFields reads one object that holds only the known fields, and no name twice in itself or in what
// it holds.
func checkFields(dec *json.Decoder, known []string) error {
	start, err := dec.Token()
	if err != nil {
		return err
	}
	if start != json.Delim('{') {
		return errors.New("want an object, got " + kindOf(start))
	}
	return checkObject(dec, func(name string) error {
		if slices.Contains(known, name) {
			return nil
		}
		e := Refuse(http.StatusBadRequest, "", "unknown field %q", name)
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
			e.Hint = "write " + known[i]
		}
		return e
	})
}

// checkObject reads an object whose { was read.
func checkObject(dec *json.Decoder, check func(name string) error) error {
	met := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name := fmt.Sprint(key)
		if err := check(name); err != nil {
			return err
		}
		if met[name] {
			return Refuse(http.StatusBadRequest, "write it once", "field %q comes twice", name)
		}
		met[name] = true
		if err := checkValue(dec); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// checkValue reads one value, and looks for names that come twice in its objects.
func checkValue(dec *json.Decoder) error {
	start, err := dec.Token()
	switch {
	case err != nil:
		return err
	case start == json.Delim('{'):
		return checkObject(dec, func(string) error { return nil })
	case start != json.Delim('['):
		return nil
	}
	for dec.More() {
		if err := checkValue(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// badBody says what is wrong with a body, or with the part of it that place names.
func badBody(err error, place string) error {
	const remedy = "send one JSON object; docs/api.md has its fields"
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return Refuse(http.StatusRequestEntityTooLarge, "send less at once", "%s: more than %d MiB", place, large.Limit>>20)
	}
	var fault *units.Error
	if errors.As(err, &fault) {
		return Refuse(http.StatusBadRequest, fault.Hint, "%s: %s", place, fault.Msg)
	}
	var refused *Error
	if errors.As(err, &refused) {
		hint := refused.Hint
		if hint == "" {
			hint = remedy
		}
		return Refuse(http.StatusBadRequest, hint, "%s: %s", place, refused.Message)
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &other):
		text = fmt.Sprintf("field %q: want %s, got %s", other.Field, wanted(other.Type), gotten(other.Value))
	case errors.Is(err, io.EOF):
		text = "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		text = "it ends in the middle of the JSON"
	}
	return Refuse(http.StatusBadRequest, remedy, "%s: %s", place, text)
}

// wanted is what JSON must hold for a value of a type.
func wanted(t reflect.Type) string {
	if t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "a whole number"
}

// gotten is what JSON held instead, of the word that encoding/json has for it: "string", "number 1.5".
func gotten(value string) string {
	word, literal, _ := strings.Cut(value, " ")
	switch {
	case literal != "":
		return literal
	case word == "string":
		return "a text"
	case word == "bool":
		return "true or false"
	case word == "object":
		return "an object"
	case word == "array":
		return "a list"
	}
	return "a " + word
}

// kindOf is the word for a value that begins with this token.
func kindOf(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case json.Delim:
		return "a list"
	case string:
		return "a text"
	case bool:
		return fmt.Sprint(t)
	}
	return "a number"
}
