package daemon

import (
	"strings"
	"testing"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// TestAcceptStore: a host that is frozen on a store must be able to accept it, also the
// very store that it knows, set back by a restored snapshot.
func TestAcceptStore(t *testing.T) {
	ctx := t.Context()
	backend := memory.New(memory.Options{Kind: true})
	t.Cleanup(backend.Close)
	st := store.New(backend, "", store.Options{})
	id, err := st.Init(ctx)
	if err != nil {
		t.Fatal(err)
	}
	host := cluster.HostID(strings.Repeat("a", 32))
	for _, c := range []struct {
		name     string
		known    cluster.Identity
		frozen   bool
		note     string
		accepted string
	}{
		{"as known", id, false, "nothing to accept", ""},
		{"set back", id, true, "follow it again", id.ID},
		{"another", cluster.Identity{ID: "other", Generation: 1}, true, "now follow store", "other"},
	} {
		seen := func() (cluster.Identity, bool, bool) { return c.known, c.frozen, true }
		note, err := users{store: st, backend: backend, seen: seen}.AcceptStore(ctx, cluster.Note{Who: "root@h1"})
		if err != nil || !strings.Contains(note, c.note) {
			t.Errorf("%s: AcceptStore() = %q, %v, want a note with %q", c.name, note, err, c.note)
		}
		view, err := st.View(ctx, host)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if view.Accepted != nil {
			got = view.Accepted.Old
		}
		if got != c.accepted {
			t.Errorf("%s: accepted = %q, want %q", c.name, got, c.accepted)
		}
	}
}
