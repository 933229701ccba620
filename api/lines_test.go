package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// TestEachReadsLines, short and long, and tells an answer that ends in the middle from one that is whole.
func TestEachReadsLines(t *testing.T) {
	long := strings.Repeat("x", 3*lineBuffer)
	for _, c := range []struct {
		in   string
		want []string
		err  error
	}{
		{"", nil, nil},
		{"{\"name\":\"a\"}\n\n{\"name\":\"b\"}\n", []string{"a", "b"}, nil},
		{"{\"name\":\"a\"}\n{\"name\":\"b\"}", []string{"a", "b"}, nil},
		{"{\"name\":\"" + long + "\"}\n{\"name\":\"b\"}\n", []string{long, "b"}, nil},
		{"{\"name\":\"b\"}\n{\"name\":\"" + long + "\"}", []string{"b", long}, nil},
		{"{\"name\":\"a\"}\n{\"name\":\"b", []string{"a"}, io.ErrUnexpectedEOF},
		{"{\"name\":\"" + long, nil, io.ErrUnexpectedEOF},
		{"{\"name\":\"a\"}\n{\"stream_error\":{\"code\":\"unavailable\",\"message\":\"gone\"}}\n", []string{"a"}, &Error{}},
	} {
		var got []string
		err := each(strings.NewReader(c.in), func(u Unit) error { got = append(got, u.Name); return nil })
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("each(%.40q) reads %d values, want %d", c.in, len(got), len(c.want))
		}
		var refused *Error
		switch {
		case c.err == nil && err != nil, c.err != nil && err == nil:
			t.Errorf("each(%.40q): %v, want %v", c.in, err, c.err)
		case c.err != nil && !errors.Is(err, c.err) && !errors.As(err, &refused):
			t.Errorf("each(%.40q): %v, want %v", c.in, err, c.err)
		}
	}
}

// TestFirstPageOfCalmUnitsNeedsNoPlan: while the first plan is being made, a page of units that are as they
// should be is answered.
func TestFirstPageOfCalmUnitsNeedsNoPlan(t *testing.T) {
	s, snap := serverOf(2, &still{whole: -1})
	snap.Units, snap.Complete = map[cluster.Unit]*cluster.UnitHead{}, true
	at := cluster.HostID(fmt.Sprintf("%032x", 1))
	snap.SetHostInfo(at, &cluster.HostInfo{Name: "h0001", Boot: "b"}, time.Unix(1, 0))
	snap.SetAlive(at, &cluster.Alive{Boot: "b"}, 1)
	for i := range pageSize {
		head, err := plan.NewHead(cluster.Unit(fmt.Sprintf("u%d.service", i)), []byte("[Service]\nExecStart=/bin/true\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		snap.SetUnit(&head)
		snap.SetPlaced(&cluster.Placed{Host: at, Unit: head.Name, Placement: cluster.Placement{State: cluster.Launched, Blob: head.Spec.Blob}})
	}
	s.plans.planning.Lock()
	defer s.plans.planning.Unlock()
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/units", nil))
	}()
	select {
	case <-done:
		if n := strings.Count(w.Body.String(), "\n"); n != pageSize {
			t.Errorf("%d lines, want %d", n, pageSize)
		}
	case <-time.After(time.Minute):
		t.Fatal("the list waits for a plan")
	}
}
