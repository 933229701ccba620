package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// still is a mirror that never changes, except that it becomes incomplete after some reads.
type still struct {
	snap  *cluster.Snapshot
	whole int // reads before it is incomplete; -1 = always whole
}

func (m *still) Read(f func(*cluster.Snapshot)) {
	m.snap.Complete = m.whole != 0
	if m.whole > 0 {
		m.whole--
	}
	if !m.snap.Complete {
		clear(m.snap.Units)
	}
	f(m.snap)
}
func (m *still) Subscribe() (<-chan struct{}, func())      { return nil, func() {} }
func (m *still) WaitRevision(context.Context, int64) error { return nil }
func (m *still) Err() error                                { return nil }

// nobody leads.
type nobody struct{ rt http.RoundTripper }

func (n nobody) Transport() http.RoundTripper                  { return n.rt }
func (nobody) Leader(context.Context) (cluster.HostID, string) { return "", "" }

// serverOf serves a mirror of n hosts, h0000 and so on, and the units a, b and c, of which a is placed on h0001.
func serverOf(n int, m *still) (*Server, *cluster.Snapshot) {
	snap := cluster.NewSnapshot()
	snap.Revision = 7
	for _, u := range []cluster.Unit{"a.service", "b.service", "c.service"} {
		snap.Units[u] = &cluster.UnitHead{Name: u, Rev: 3, Spec: cluster.UnitSpec{Target: units.Launched}}
	}
	for i := range n {
		id := cluster.HostID(fmt.Sprintf("%032x", i))
		snap.Hosts[id] = &cluster.Host{
			ID: id, Info: &cluster.HostInfo{Name: fmt.Sprintf("h%04d", i), Address: fmt.Sprint(i)}, Alive: &cluster.Alive{},
			Placed: map[cluster.Unit]*cluster.Placed{}, Status: map[cluster.Unit]*cluster.Status{},
		}
	}
	m.snap = snap
	now := time.Unix(1000, 0)
	return New(Options{
		Name: "h0000", Mirror: m, Now: func() time.Time { return now }, Peers: nobody{}, Admit: http.NotFoundHandler(), Metrics: http.NotFoundHandler(),
		Local: func() Local { return Local{} }, Classify: func(error) (int, string) { return http.StatusInternalServerError, "" },
	}), snap
}

// TestWatchEndsWhenTheMirrorIsIncomplete: at whichever read the store turns out to be wiped, the watch ends with
// the reason, and no unit or host is told to be gone.
func TestWatchEndsWhenTheMirrorIsIncomplete(t *testing.T) {
	for _, path := range []string{"/v1/units?watch=0&name=a.service", "/v1/units?watch=0", "/v1/hosts?watch=0"} {
		for whole := 1; whole < 4; whole++ {
			s, _ := serverOf(2, &still{whole: whole})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			w := httptest.NewRecorder()
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
			}()
			if strings.HasPrefix(path, "/v1/hosts") && whole > 1 { // nothing wakes it after its first look
				cancel()
			}
			<-done
			body := w.Body.String()
			if !strings.Contains(body, "cannot be read whole any more") && ctx.Err() == nil {
				t.Errorf("%s, whole for %d reads: %s, want the reason of its end", path, whole, body)
			}
			if strings.Contains(body, `"revision":0`) && strings.Contains(body, `"target"`) || strings.Contains(body, `"gone"`) {
				t.Errorf("%s, whole for %d reads: something is told to be gone:\n%s", path, whole, body)
			}
			cancel()
		}
	}
}

// TestWithGone: each name once, however many are gone.
func TestWithGone(t *testing.T) {
	got := withGone([]cluster.Unit{"b", "d", "f"}, []string{"z", "f", "a", "d", "c", "b"})
	slices.Sort(got)
	if want := []cluster.Unit{"a", "b", "c", "d", "f", "z"}; !slices.Equal(got, want) {
		t.Errorf("withGone = %v, want %v", got, want)
	}
}

// TestUnitsOfAHost: ?host= chooses what a host has orders for and what it runs without.
func TestUnitsOfAHost(t *testing.T) {
	s, snap := serverOf(2, &still{whole: -1})
	one := snap.Hosts[cluster.HostID(fmt.Sprintf("%032x", 1))]
	for _, u := range []cluster.Unit{"a.service", "left.service"} {
		p := &cluster.Placed{Unit: u, Host: one.ID}
		one.Placed[u], snap.Placed[u] = p, map[cluster.HostID]*cluster.Placed{one.ID: p}
	}
	one.Status["lost.service"] = &cluster.Status{Orphan: true}
	one.Status["old.service"] = &cluster.Status{}
	for _, test := range []struct{ query, want string }{
		{"host=h0001", "a.service left.service lost.service"},
		{"host=h0000", ""},
		{"host=h0001&match=l*", "left.service lost.service"},
		{"host=h0001&name=a.service&name=b.service", "a.service"},
		{"match=*", "a.service b.service c.service left.service"},
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/units?"+test.query, nil))
		var names []string
		_ = each(w.Body, func(u Unit) error { names = append(names, u.Name); return nil })
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("?%s = %q, want %q", test.query, got, test.want)
		}
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/units?host=h9", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("?host=h9 = %d %s, want 404", w.Code, w.Body)
	}
}
