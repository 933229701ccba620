package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"flotilla/units"
)

// Error is the one body of every refusal: what, where, and how to mend it.
type Error struct {
	Status  int    `json:"-"`    // of HTTP
	Code    string `json:"code"` // a word for programs, see code
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Error is one line: file:line: message (hint).
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// CodeNotFound is the code of what does not exist.
const CodeNotFound = "not-found"

// code is the word for a HTTP status.
func code(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "bad-request"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "not-allowed"
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusConflict:
		return "conflict"
	case http.StatusRequestEntityTooLarge:
		return "too-large"
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return "unavailable"
	case http.StatusGatewayTimeout:
		return "timeout"
	}
	return "internal"
}

// Refuse makes an Error.
func Refuse(status int, hint, format string, args ...any) *Error {
	return &Error{Status: status, Code: code(status), Message: fmt.Sprintf(format, args...), Hint: hint}
}

// asError finds the Error in err, or makes one of what the rooms behind the API return.
func (s *Server) asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var fault *units.Error
	if errors.As(err, &fault) {
		e := Refuse(http.StatusBadRequest, fault.Hint, "%s", fault.Msg)
		e.File, e.Line = fault.File, fault.Line
		return e
	}
	var faults units.Errors
	if errors.As(err, &faults) && len(faults) > 0 {
		return s.asError(faults[0])
	}
	status, hint := s.opt.Classify(err)
	return Refuse(status, hint, "%s", err.Error())
}

// fail answers with err as the one Error body.
func (s *Server) fail(w http.ResponseWriter, err error) {
	e := s.asError(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e) // the client is gone if this fails
}
