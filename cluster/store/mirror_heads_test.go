package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// BenchmarkContentThatNoHeadAwaits: a submit of many units is as many contents, each before
// its head. Each costs the same however many units there are.
func BenchmarkContentThatNoHeadAwaits(b *testing.B) {
	raw := []byte("[Service]\nExecStart=/bin/true\n")
	for _, many := range []int{200, 20_000} {
		b.Run(fmt.Sprintf("units=%d", many), func(b *testing.B) {
			d := newDecoder(newKeys(""), time.Now, newBlobCache())
			for i := range many {
				name := cluster.Unit(fmt.Sprintf("u%d.service", i))
				d.snap.SetUnit(&cluster.UnitHead{Name: name, Spec: cluster.UnitSpec{Blob: units.Hash(name)}})
			}
			for i := 0; b.Loop(); i++ {
				d.arrived(units.Hash(fmt.Sprint(i)), raw)
			}
		})
	}
}

// TestContentAfterItsHeads: heads that a person restored before their content get it when
// it comes, but not those that have another by then, or are gone.
func TestContentAfterItsHeads(t *testing.T) {
	d := newDecoder(newKeys(""), time.Now, newBlobCache())
	raw := []byte("[Service]\nExecStart=/bin/true\n")
	late, other := units.HashOf(raw), units.HashOf([]byte("x"))
	head := func(name cluster.Unit, h units.Hash) {
		t.Helper()
		value, err := encode(cluster.UnitSpec{Blob: h})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.putHead(name, KeyValue{Key: d.keys.unit(name), Value: value, ModRev: 1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []cluster.Unit{"a.service", "b.service", "moved.service", "gone.service"} {
		head(name, late)
	}
	head("moved.service", other)
	d.dropHead("gone.service")
	d.arrived(late, raw)
	for name, want := range map[cluster.Unit]bool{"a.service": true, "b.service": true, "moved.service": false} {
		if u := d.snap.Units[name]; (u.File != nil) != want || (u.Bad == "") != want {
			t.Errorf("%s after its content came: file %v, bad %q, want a file: %v", name, u.File != nil, u.Bad, want)
		}
	}
	if d.snap.Units["gone.service"] != nil {
		t.Error("a head that is gone came back with its content")
	}
	if uses := d.blobs.known[late].uses; uses != 2 {
		t.Errorf("uses of the content = %d, want 2", uses)
	}
	if len(d.blobs.waiting[late]) != 0 || len(d.blobs.waiting[other]) != 1 {
		t.Errorf("waiting = %v, want moved.service alone", d.blobs.waiting)
	}
}

// TestFaultOfManyKeys: thousands of keys of a later version are one line, and each head is
// judged by its own keys alone.
func TestFaultOfManyKeys(t *testing.T) {
	const many = 20_000
	d := newDecoder(newKeys(""), time.Now, newBlobCache())
	d.snap.Store.ID = "x"
	begun := time.Now()
	for i := range many {
		w := cluster.Where{Host: "h", Unit: cluster.Unit(fmt.Sprintf("u%05d.service", i))}
		d.snap.SetUnit(&cluster.UnitHead{Name: w.Unit, File: &units.File{}})
		d.event(Event{KeyValue: KeyValue{Key: d.keys.status(w), Value: []byte("?")}}, nil)
	}
	d.finish(1)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("%d unreadable keys took %s, want seconds at most", many, took)
	}
	if got := d.fault().Error(); !errors.Is(d.fault(), ErrCorrupt) || strings.Count(got, "\n") != faultsNamed || !strings.Contains(got, "and 19995 more keys") {
		t.Errorf("fault = %s, want %d keys and a count of the others", got, faultsNamed)
	}
	if u := d.snap.Units["u00007.service"]; u.Bad == "" || !d.snap.Complete {
		t.Errorf("u00007.service is bad: %q, complete %v, want its own fault only", u.Bad, d.snap.Complete)
	}
	w := cluster.Where{Host: "h", Unit: "u00007.service"}
	d.event(Event{KeyValue: KeyValue{Key: d.keys.status(w)}, Deleted: true}, nil)
	if u := d.snap.Units[w.Unit]; u.Bad != "" {
		t.Errorf("u00007.service after its key was mended is bad: %q", u.Bad)
	}
}
