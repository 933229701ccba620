package api

import (
	"bytes"
	"encoding/json"
)

// Maybe is a field of a patch. Left out it changes nothing, null takes away, anything else sets.
type Maybe[T any] struct {
	Given bool
	Value *T // nil = null
}

// Set is a field that sets.
func Set[T any](v T) Maybe[T] { return Maybe[T]{Given: true, Value: &v} }

// Null is a field that takes away.
func Null[T any]() Maybe[T] { return Maybe[T]{Given: true} }

// IsZero leaves a field out that is not given.
func (m Maybe[T]) IsZero() bool { return !m.Given }

// MarshalJSON writes the value, or null.
func (m Maybe[T]) MarshalJSON() ([]byte, error) { return json.Marshal(m.Value) }

// UnmarshalJSON reads null, or an object as strictly as a body is read.
func (m *Maybe[T]) UnmarshalJSON(raw []byte) error {
	*m = Null[T]()
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil
	}
	m.Value = new(T)
	return strictly(json.NewDecoder(bytes.NewReader(raw)), m.Value)
}
