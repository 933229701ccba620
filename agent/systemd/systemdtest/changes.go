package systemdtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

func changeCases() []Case {
	return []Case{
		{"changes are told", changes},
		{"changes of watched units alone are told", watched},
		{"changes are told in one piece", coalesced},
		{"the channel is closed at the end", closedAtEnd},
	}
}

// told waits until all these names were told, and returns in how many pieces; the
// unwanted name is an error.
func told(t *testing.T, changed <-chan []string, names []string, unwanted string) (pieces int) {
	t.Helper()
	missing := map[string]bool{}
	for _, name := range names {
		missing[prefix+name] = true
	}
	deadline := time.After(patience)
	for len(missing) > 0 {
		select {
		case got := <-changed:
			pieces++
			if got == nil { // of the reload before; all are these too
				return pieces
			}
			if !slices.IsSorted(got) {
				t.Errorf("names told = %q, want them sorted", got)
			}
			for _, name := range got {
				delete(missing, name)
				if name == prefix+unwanted {
					t.Errorf("told of %s, which is not watched", name)
				}
			}
		case <-deadline:
			t.Fatalf("not told of %v within %s", missing, patience)
		}
	}
	return pieces
}

// toldAll waits for "all".
func toldAll(t *testing.T, changed <-chan []string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got := <-changed:
			if got == nil {
				return
			}
		case <-deadline:
			t.Fatalf("not told of all within %s", patience)
		}
	}
}

func mustChanges(t *testing.T, h Host) <-chan []string {
	t.Helper()
	changed, err := h.Manager.Changes(t.Context())
	if err != nil {
		t.Fatalf("Changes() = %v", err)
	}
	toldAll(t, changed)
	return changed
}

func changes(t *testing.T, h Host) {
	install(t, h, map[string]string{"seen.service": runsOn, "seen-2.target": "[Unit]\nDescription=seen\n"})
	changed := mustChanges(t, h)
	must(t, h, systemd.Start, "seen.service", systemd.Done)
	told(t, changed, []string{"seen.service"}, "")
	must(t, h, systemd.Start, "seen-2.target", systemd.Done)
	told(t, changed, []string{"seen-2.target"}, "")
	if err := h.Kill(prefix + "seen.service"); err != nil {
		t.Fatal(err)
	}
	told(t, changed, []string{"seen.service"}, "")
	until(t, h, "seen.service", "failed", state(systemd.Failed, "failed"))
	mustReload(t, h)
	toldAll(t, changed)
}

func watched(t *testing.T, h Host) {
	install(t, h, map[string]string{"ours@1.service": runsOn, "theirs.service": runsOn})
	t.Cleanup(func() {
		if err := h.Manager.Watch(context.Background(), nil); err != nil {
			t.Errorf("Watch(nil) = %v", err)
		}
	})
	many := []string{prefix + "ours@1.service"}
	for i := range 1000 { // more than there are match rules
		many = append(many, fmt.Sprintf("suite-never@%d.service", i))
	}
	changed := mustChanges(t, h)
	for _, names := range [][]string{many[:1], many, many[:2], {}} {
		if err := h.Manager.Watch(t.Context(), names); err != nil {
			t.Fatalf("Watch(%d names) = %v", len(names), err)
		}
		if len(names) == 0 {
			break
		}
		must(t, h, systemd.Restart, "theirs.service", systemd.Done)
		must(t, h, systemd.Restart, "ours@1.service", systemd.Done)
		told(t, changed, []string{"ours@1.service"}, "theirs.service")
	}
	must(t, h, systemd.Restart, "ours@1.service", systemd.Done)
	if err := h.Manager.Watch(t.Context(), []string{prefix + "theirs.service"}); err != nil {
		t.Fatal(err)
	}
	must(t, h, systemd.Stop, "theirs.service", systemd.Done)
	told(t, changed, []string{"theirs.service"}, "")
}

func coalesced(t *testing.T, h Host) {
	install(t, h, map[string]string{"a.service": runsOn, "b.service": runsOn})
	changed := mustChanges(t, h)
	for range 3 { // nobody listens meanwhile
		must(t, h, systemd.Restart, "a.service", systemd.Done)
		must(t, h, systemd.Restart, "b.service", systemd.Done)
	}
	if pieces := told(t, changed, []string{"a.service", "b.service"}, ""); pieces > 4 {
		t.Errorf("six restarts were told in %d pieces, want few", pieces)
	}
}

func closedAtEnd(t *testing.T, h Host) {
	ctx, cancel := context.WithCancel(t.Context())
	changed, err := h.Manager.Changes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	deadline := time.After(patience)
	for {
		select {
		case _, ok := <-changed:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatalf("the channel is open %s after the end of its context", patience)
		}
	}
}
