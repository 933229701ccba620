package store

import (
	"encoding/json"
	"fmt"
)

// encode writes a value as JSON. Values are our own types; one that cannot be
// written is a fault of ours, told as an error all the same.
func encode(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return raw, nil
}

// decode reads the value of a key. Fields it does not know are let through: a newer
// flotilla may have written them. What cannot be read is ErrCorrupt with the key's name,
// never a zero value.
func decode[T any](kv KeyValue) (T, error) {
	var v T
	if len(kv.Value) == 0 {
		var zero T
		return zero, fmt.Errorf("key %s: %w: empty", kv.Key, ErrCorrupt)
	}
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		var zero T
		return zero, fmt.Errorf("key %s: %w: %w", kv.Key, ErrCorrupt, err)
	}
	return v, nil
}
