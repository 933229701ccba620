package api

import (
	"context"
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

// Codes that programs branch on; docs/api.md lists all.
const (
	CodeNotFound    = "not-found"
	CodeConflict    = "conflict"
	CodeUnavailable = "unavailable"
	CodeTimeout     = "timeout" // a write was sent and not confirmed
)

// code is the word for a HTTP status.
func code(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "bad-request"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "not-allowed"
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusMethodNotAllowed:
		return "no-such-method"
	case http.StatusConflict, http.StatusPreconditionFailed:
		return CodeConflict
	case http.StatusRequestEntityTooLarge:
		return "too-large"
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return CodeUnavailable
	case http.StatusGatewayTimeout:
		return CodeTimeout
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
		if fault.Line == 0 && fault.Column > 0 {
			e.Message = fmt.Sprintf("column %d: %s", fault.Column, fault.Msg)
		}
		e.File, e.Line = fault.File, fault.Line
		return e
	}
	var faults units.Errors
	if errors.As(err, &faults) && len(faults) > 0 {
		return s.asError(faults[0])
	}
	status, hint := s.opt.Classify(err)
	switch {
	case !errors.Is(err, context.DeadlineExceeded):
		return Refuse(status, hint, "%s", oneLine(err.Error()))
	case status == http.StatusGatewayTimeout: // a write was sent
		return Refuse(status, hint, "etcd did not confirm in time")
	}
	return Refuse(http.StatusServiceUnavailable, "workloads keep running; is a majority of etcd's members up? see flotilla status",
		"etcd does not answer: no majority?")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// fail answers with err as the one Error body.
func (s *Server) fail(w http.ResponseWriter, err error) {
	e := s.asError(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e) // the client is gone if this fails
}
