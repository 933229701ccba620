package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// lineBuffer holds most lines; longer ones are put together from pieces.
const lineBuffer = 64 << 10

// each decodes NDJSON. A line {"stream_error": {...}} ends a stream that began well.
func each[T any](r io.Reader, fn func(T) error) error {
	in := bufio.NewReaderSize(r, lineBuffer)
	var long []byte
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			line, long = append(long, line...), nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if failed := decodeLine(text, fn); failed != nil {
				if err != nil && !json.Valid(text) { // it ends in the middle
					failed = fmt.Errorf("read the daemon's answer: %w", io.ErrUnexpectedEOF)
				}
				return failed
			}
		}
		if err != nil {
			return nil
		}
	}
}

// decodeLine hands one value on.
func decodeLine[T any](line []byte, fn func(T) error) error {
	var late struct {
		StreamError *Error `json:"stream_error"`
	}
	if bytes.Contains(line, []byte(`"stream_error"`)) && json.Unmarshal(line, &late) == nil && late.StreamError != nil {
		return late.StreamError
	}
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		return fmt.Errorf("decode the daemon's answer: %w", err)
	}
	return fn(v)
}
