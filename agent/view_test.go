package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/units"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	view := func(id string, generation, revision int64, accepted *cluster.Acceptance) cluster.View {
		return cluster.View{Store: cluster.Identity{ID: id, Generation: generation}, Revision: revision, Accepted: accepted}
	}
	word := func(old string, at int64) *cluster.Acceptance {
		return &cluster.Acceptance{ID: fmt.Sprint(at), Old: old, By: cluster.Note{When: time.Unix(5, 0)}}
	}
	known := Memory{View: view("aaaa", 2, 100, nil)}
	used := known.Step(view("aaaa", 2, 100, word("aaaa", 1)), "boot")
	twice := used.Step(view("aaaa", 2, 100, word("aaaa", 2)), "boot").Step(view("aaaa", 2, 100, nil), "boot")
	tests := []struct {
		name string
		mem  Memory
		view cluster.View
		want string // a part of the reason; "" = it may be followed
	}{
		{"first contact", Memory{}, view("aaaa", 1, 5, nil), ""},
		{"first contact with a store without identity", Memory{}, view("", 0, 5, nil), "no identity"},
		{"the same, later", known, view("aaaa", 2, 101, nil), ""},
		{"the same, as seen", known, view("aaaa", 2, 100, nil), ""},
		{"restored on purpose", known, view("aaaa", 3, 7, nil), ""},
		{"wiped", known, view("", 0, 1, nil), "no identity"},
		{"another one", known, view("bbbb", 9, 900, nil), "another one"},
		{"older generation", known, view("aaaa", 1, 900, nil), "older"},
		{"went back", known, view("aaaa", 2, 99, nil), "went back"},
		{"another one, accepted", known, view("bbbb", 1, 3, word("aaaa", 1)), ""},
		{"another one, an acceptance of some other", known, view("bbbb", 1, 3, word("cccc", 1)), "another one"},
		{"went back, accepted", known, view("aaaa", 2, 99, word("aaaa", 1)), ""},
		{"went back, by an acceptance used up", used, view("aaaa", 2, 99, word("aaaa", 1)), "went back"},
		{"went back to before another acceptance", twice, view("aaaa", 2, 99, word("aaaa", 1)), "went back"},
		{"went back to the last acceptance", twice, view("aaaa", 2, 99, word("aaaa", 2)), "went back"},
		{"went back, accepted for the third time", twice, view("aaaa", 2, 99, word("aaaa", 3)), ""},
		{"went back, accepted again", used, view("aaaa", 2, 99, word("aaaa", 2)), ""},
	}
	for _, tt := range tests {
		got := tt.mem.Judge(tt.view)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: Judge = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestViewOnDisk(t *testing.T) {
	d := viewDisk{t.TempDir()}
	if m, err := d.load(); err != nil || m.View.Store.ID != "" {
		t.Fatalf("load of nothing = %+v, %v, want nothing", m, err)
	}
	raw := []byte("[Service]\n")
	h, other := units.HashOf(raw), units.HashOf([]byte("x"))
	want := Memory{Boot: "boot", View: cluster.View{
		Host: hostID, Store: cluster.Identity{ID: "aaaa", Generation: 1}, Revision: 9,
		Place: map[cluster.Unit]cluster.Placement{"a.service": {Generation: 3, State: cluster.Launched, Blob: h}},
	}}
	if err := d.save(want, map[units.Hash][]byte{h: raw, other: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := d.sweep(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("load (-want +got):\n%s", diff)
	}
	if got, ok := d.content(h); !ok || string(got) != string(raw) {
		t.Errorf("content = %q, %v, want %q", got, ok, raw)
	}
	if _, ok := d.content(other); ok {
		t.Error("content that nothing names was kept")
	}
	if err := writeFile(d.blob(h), []byte("damaged"), false); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.content(h); ok {
		t.Error("damaged content is taken for good")
	}
}

// What was seen of a store counts, also where no order of this host came with it.
func TestJudgeBySeen(t *testing.T) {
	view := func(id string, generation, revision, seen int64) cluster.View {
		return cluster.View{Store: cluster.Identity{ID: id, Generation: generation}, Revision: revision, Seen: seen}
	}
	m := Memory{View: view("aaaa", 2, 100, 0)}
	for _, other := range []cluster.View{view("bbbb", 2, 100, 900), view("aaaa", 3, 100, 900), view("aaaa", 2, 100, 90)} {
		if m = m.Saw(other); m.Judge(view("aaaa", 2, 101, 0)) != "" {
			t.Errorf("after %+v revision 101 is %q, want it followed", other, m.Judge(view("aaaa", 2, 101, 0)))
		}
	}
	m = m.Saw(view("aaaa", 2, 100, 900))
	if got := m.Judge(view("aaaa", 2, 899, 0)); !strings.Contains(got, "went back to revision 899, this host saw 900") {
		t.Errorf("Judge(899) = %q, want that it went back", got)
	}
	if got := m.Step(view("aaaa", 3, 5, 0), "boot").Judge(view("aaaa", 3, 6, 0)); got != "" {
		t.Errorf("Judge after a restore on purpose = %q, want none", got)
	}
}

// A store that was set back grows past the revision that is remembered; what it says then is
// no newer for it.
func TestSetBackStoreStaysFrozen(t *testing.T) {
	view := func(generation, revision int64, accepted *cluster.Acceptance) cluster.View {
		return cluster.View{Store: cluster.Identity{ID: "aaaa", Generation: generation}, Revision: revision, Accepted: accepted}
	}
	word := &cluster.Acceptance{ID: "1", Old: "aaaa", By: cluster.Note{When: time.Unix(1, 0)}}
	known := Memory{View: view(2, 100, nil)}
	back := view(2, 40, nil)
	frozen := known.Freeze(back, known.Judge(back))
	tests := []struct {
		name string
		view cluster.View
		want bool
	}{
		{"as it was", view(2, 40, nil), true},
		{"past what was seen", view(2, 5000, nil), true},
		{"accepted", view(2, 41, word), false},
		{"a restore on purpose", view(3, 41, nil), false},
		{"an older generation", view(1, 5000, nil), true},
	}
	for _, tt := range tests {
		if got := frozen.Judge(tt.view); (got != "") != tt.want {
			t.Errorf("%s: Judge = %q, want frozen %v", tt.name, got, tt.want)
		}
	}
	for _, followed := range []cluster.View{tests[2].view, tests[3].view} {
		if got := frozen.Step(followed, "boot").Judge(view(followed.Store.Generation, 42, followed.Accepted)); got != "" {
			t.Errorf("Judge after it was followed = %q, want none", got)
		}
	}
	wiped, other := cluster.View{Revision: 1}, cluster.View{Store: cluster.Identity{ID: "bbbb", Generation: 1}, Revision: 900}
	for _, between := range []cluster.View{wiped, other} {
		gone := known.Freeze(between, known.Judge(between))
		if got := gone.Judge(view(2, 101, nil)); !strings.Contains(got, "may have been set back") {
			t.Errorf("Judge of the store that is back after %+v = %q, want that it may have been set back", between.Store, got)
		}
		if got := gone.Judge(view(2, 101, word)) + gone.Judge(view(3, 101, nil)); got != "" {
			t.Errorf("Judge of it once accepted, or restored on purpose = %q, want none", got)
		}
		if got := frozen.Freeze(between, "x").Frozen; got != frozen.Frozen {
			t.Errorf("after %+v the reason is %q, want %q", between.Store, got, frozen.Frozen)
		}
	}
}

// lagging is a store whose answer was true when it was given and comes late: meanwhile the
// watch saw more.
type lagging struct {
	Views
	answer cluster.View
	before func()
}

func (d lagging) View(context.Context, cluster.HostID) (cluster.View, error) {
	d.before()
	return d.answer, nil
}

func (d lagging) Pin(cluster.Identity) {}

func TestLateAnswerIsNoSetBack(t *testing.T) {
	at := func(revision, seen int64) cluster.View {
		return cluster.View{Store: cluster.Identity{ID: "aaaa", Generation: 1}, Revision: revision, Seen: seen}
	}
	k, err := newKeeper(lagging{}, hostID, "boot", t.TempDir(), time.Second, &link{}, slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		t.Fatal(err)
	}
	k.mem, k.held = Memory{View: at(369, 0)}, true
	k.views = lagging{answer: at(371, 0), before: func() { k.saw(at(369, 372)) }}
	if frozen, err := k.check(t.Context()); frozen != "" || err != nil {
		t.Errorf("check = %q, %v, want the answer judged by what was seen before the question", frozen, err)
	}
	if got := k.mem.Judge(at(371, 0)); got == "" {
		t.Error("what was seen meanwhile is forgotten")
	}
	k.views = lagging{answer: at(371, 0), before: func() {}}
	if frozen, _ := k.check(t.Context()); frozen == "" {
		t.Error("a question asked after 372 was seen and answered with 371 is no set-back")
	}
}
