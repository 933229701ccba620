package systemdtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flotilla/agent/systemd"
	"flotilla/units"
)

func dirCases() []Case {
	return []Case{
		{"files of ours are listed as they were written", listed},
		{"files by another hand are left alone", foreign},
		{"drop-ins of ours come and go one by one", dropIns},
		{"a death between two steps leaves nothing for ever", halfDone},
		{"bad file names are refused", badNames},
		{"names of the host are known", elsewhere},
	}
}

// tidy takes a unit's files away at the end.
func tidy(t *testing.T, h Host, names ...string) {
	t.Cleanup(func() {
		for _, name := range names {
			if err := h.Dir.Remove(name); err != nil {
				t.Errorf("Remove(%s) = %v", name, err)
			}
		}
	})
}

func wantListed(t *testing.T, h Host, want ...systemd.Entry) {
	t.Helper()
	got, err := h.Dir.List()
	if err != nil {
		t.Fatalf("List() = %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("List() (-want +got):\n%s", diff)
	}
}

func entry(name, data, dropIn string) systemd.Entry {
	sum := sha256.Sum256([]byte(data))
	return systemd.Entry{Name: name, Hash: hex.EncodeToString(sum[:]), DropIn: []byte(dropIn)}
}

func listed(t *testing.T, h Host) {
	tidy(t, h, "suite-b.service", "suite-a@1.service")
	wantListed(t, h)
	for _, name := range []string{"suite-b.service", "suite-a@1.service"} {
		mustWrite(t, h, name, runsOn)
	}
	b, a := entry("suite-b.service", runsOn, "[Unit]\n"), entry("suite-a@1.service", runsOn, "[Unit]\n")
	wantListed(t, h, a, b)
	if err := h.Dir.WriteDropIn("suite-b.service", "60-more.conf", []byte("[Service]\n")); err != nil {
		t.Fatal(err)
	}
	binary := "# any bytes \x00\xff\r\n" + runsOn
	if err := h.Dir.Write("suite-b.service", []byte(binary)); err != nil {
		t.Fatal(err)
	}
	more := entry("suite-b.service", binary, "[Unit]\n")
	more.Others = units.DropIns{{Name: "60-more.conf", Raw: []byte("[Service]\n")}}
	wantListed(t, h, a, more)
	for range 2 { // again is no error
		if err := h.Dir.Remove("suite-b.service"); err != nil {
			t.Errorf("Remove() = %v", err)
		}
	}
	wantListed(t, h, a)
}

func foreign(t *testing.T, h Host) {
	const name = "suite-foreign.service"
	if err := h.PutForeign(name, []byte(runsOn)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.DelForeign(name); err != nil {
			t.Error(err)
		}
	})
	for what, err := range map[string]error{
		"Write":       h.Dir.Write(name, []byte(once)),
		"WriteDropIn": h.Dir.WriteDropIn(name, systemd.DropIn, nil),
		"Remove":      h.Dir.Remove(name),
	} {
		if !errors.Is(err, systemd.ErrNotOurs) {
			t.Errorf("%s of a foreign unit = %v, want ErrNotOurs", what, err)
		}
	}
	wantListed(t, h)
	if path, ok := h.Dir.Elsewhere(name); !ok || path == "" {
		t.Errorf("Elsewhere(%s) = %q, %v, want its path", name, path, ok)
	}
}

func dropIns(t *testing.T, h Host) {
	const name, byHand = "suite-drop.service", "suite-drop.service.d/30-hand.conf"
	install(t, h, map[string]string{"drop.service": runsOn})
	if err := h.PutForeign(byHand, []byte("[Service]\n")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.DelForeign(byHand); err != nil {
			t.Error(err)
		}
	})
	for _, file := range []string{"60-b.conf", "10-a.conf"} {
		if err := h.Dir.WriteDropIn(name, file, []byte("[Service]\nEnvironment=A="+file+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	want := entry(name, runsOn, "[Unit]\n")
	want.Others = units.DropIns{
		{Name: "10-a.conf", Raw: []byte("[Service]\nEnvironment=A=10-a.conf\n")},
		{Name: "60-b.conf", Raw: []byte("[Service]\nEnvironment=A=60-b.conf\n")},
	}
	wantListed(t, h, want)
	mustReload(t, h)
	if got := mustUnit(t, h, "drop.service").DropInPaths; len(got) != 4 {
		t.Errorf("systemd reads drop-ins %q, want ours, the two and the one by hand", got)
	}
	// Of a unit that does not run systemd forgets what it has read.
	must(t, h, systemd.Start, "drop.service", systemd.Done)
	for range 2 { // again is no error
		if err := h.Dir.RemoveDropIn(name, "60-b.conf"); err != nil {
			t.Errorf("RemoveDropIn() = %v", err)
		}
	}
	want.Others = want.Others[:1]
	wantListed(t, h, want)
	if u := mustUnit(t, h, "drop.service"); !u.NeedDaemonReload {
		t.Error("systemd does not say that it has to read the unit anew after a drop-in went")
	}
	mustReload(t, h)
	for what, err := range map[string]error{
		"WriteDropIn":  h.Dir.WriteDropIn(name, "30-hand.conf", nil),
		"RemoveDropIn": h.Dir.RemoveDropIn(name, "30-hand.conf"),
	} {
		if !errors.Is(err, systemd.ErrNotOurs) {
			t.Errorf("%s of a drop-in by another hand = %v, want ErrNotOurs", what, err)
		}
	}
	if err := h.Dir.RemoveDropIn(name, systemd.DropIn); !errors.Is(err, systemd.ErrBadName) {
		t.Errorf("RemoveDropIn of the mark = %v, want ErrBadName", err)
	}
}

func halfDone(t *testing.T, h Host) {
	const name = "suite-half.service"
	tidy(t, h, name)
	if err := h.Dir.Write(name, []byte(runsOn)); !errors.Is(err, systemd.ErrNotOurs) {
		t.Errorf("Write before WriteDropIn = %v, want ErrNotOurs", err)
	}
	if err := h.Dir.WriteDropIn(name, systemd.DropIn, []byte("[Unit]\n")); err != nil {
		t.Fatal(err)
	}
	wantListed(t, h)
	if err := h.Dir.Sweep(); err != nil {
		t.Errorf("Sweep() = %v", err)
	}
	if err := h.Dir.Write(name, []byte(runsOn)); !errors.Is(err, systemd.ErrNotOurs) {
		t.Errorf("Write after a sweep = %v, want ErrNotOurs: its drop-in should be gone", err)
	}
	mustWrite(t, h, name, runsOn)
	if err := h.Dir.Sweep(); err != nil {
		t.Errorf("Sweep() = %v", err)
	}
	wantListed(t, h, entry(name, runsOn, "[Unit]\n"))
}

func badNames(t *testing.T, h Host) {
	for _, name := range []string{"", ".", "..", "../x.service", "a/b.service", ".hidden.service", "a\nb.service", "a\x00.service"} {
		for what, err := range map[string]error{
			"Write":       h.Dir.Write(name, nil),
			"WriteDropIn": h.Dir.WriteDropIn(name, systemd.DropIn, nil),
			"of a file":   h.Dir.WriteDropIn("suite-x.service", name, nil),
			"Remove":      h.Dir.Remove(name),
		} {
			if !errors.Is(err, systemd.ErrBadName) {
				t.Errorf("%s %q = %v, want ErrBadName", what, name, err)
			}
		}
	}
	if err := h.Dir.WriteDropIn("suite-x.service", "50-x.txt", nil); !errors.Is(err, systemd.ErrBadName) {
		t.Errorf("WriteDropIn of 50-x.txt = %v, want ErrBadName", err)
	}
	wantListed(t, h)
}

func elsewhere(t *testing.T, h Host) {
	for _, name := range []string{h.HostUnit, h.HostOfOurs} {
		if path, ok := h.Dir.Elsewhere(name); !ok || path == "" {
			t.Errorf("Elsewhere(%s) = %q, %v, want a path", name, path, ok)
		}
	}
	const name = "suite-own@1.service"
	tidy(t, h, name)
	mustWrite(t, h, name, runsOn)
	for _, name := range []string{name, "suite-own@2.service", "suite-nothing.service"} {
		if path, ok := h.Dir.Elsewhere(name); ok {
			t.Errorf("Elsewhere(%s) = %s, want nowhere", name, path)
		}
	}
}
