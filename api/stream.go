package api

import (
	"encoding/json"
	"net/http"
)

// stream writes NDJSON and flushes after each line that a watcher waits for.
type stream struct {
	w   http.ResponseWriter
	enc *json.Encoder
	ctl *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &stream{w: w, enc: json.NewEncoder(w), ctl: http.NewResponseController(w)}
}

// raw writes one line that is encoded already.
func (s *stream) raw(line []byte) error {
	_, err := s.w.Write(append(line, '\n'))
	return err
}

// page writes lines that are encoded already and lets go of them at once.
func (s *stream) page(lines []byte) error {
	if _, err := s.w.Write(lines); err != nil {
		return err
	}
	return s.flush()
}

// send writes one line; the error means that the client is gone.
func (s *stream) send(v any) error { return s.enc.Encode(v) }

func (s *stream) flush() error { return s.ctl.Flush() }

// end closes a stream that cannot go on with the reason as its last line.
func (s *stream) end(e *Error) {
	_ = s.send(map[string]*Error{"stream_error": e}) // the client is gone if this fails
}

// ending is the last line of a stream whose daemon stops.
func ending() *Error {
	return Refuse(http.StatusServiceUnavailable, "ask again", "the daemon ends before the answer does")
}
