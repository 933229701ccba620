package cluster

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCloneIsASnapshotOfItsOwn: it holds the same, and no map of the two is the same one.
func TestCloneIsASnapshotOfItsOwn(t *testing.T) {
	s := NewSnapshot()
	s.Revision, s.Complete, s.Watched = 7, true, time.Unix(5, 0)
	s.SetHostInfo("a", &HostInfo{Name: "h1"}, time.Unix(1, 0))
	s.SetHostInfo("b", &HostInfo{Name: "h2"}, time.Unix(1, 0))
	s.SetUnit(&UnitHead{Name: "u.service"})
	s.SetUnit(&UnitHead{Name: "idle.service"})
	for _, id := range []HostID{"a", "b"} {
		s.SetPlaced(&Placed{Host: id, Unit: "u.service"})
	}
	s.SetStatus(Where{Host: "a", Unit: "o.service"}, &Status{Orphan: true})
	s.SetDestroyed("d.service", 3)
	s.SetOrphanStop(Where{Host: "a", Unit: "o.service"}, 4)
	s.Groups["web"] = &GroupHead{Name: "web"}
	s.Windows["night"] = &WindowHead{Name: "night"}
	s.History[HistoryKey{Host: "a", Generation: 5}] = &Record{Host: "a", Generation: 5}

	c := s.Clone()
	if diff := cmp.Diff(s, c); diff != "" {
		t.Errorf("Clone() holds something else (-want +got):\n%s", diff)
	}
	apart(t, "Snapshot", reflect.ValueOf(s).Elem(), reflect.ValueOf(c).Elem())
	for id := range s.Hosts {
		apart(t, "Host", reflect.ValueOf(s.Hosts[id]).Elem(), reflect.ValueOf(c.Hosts[id]).Elem())
	}
	if apart(t, "Placed", reflect.ValueOf(s.Placed), reflect.ValueOf(c.Placed)); reflect.ValueOf(s.Orphans["o.service"]).Pointer() == reflect.ValueOf(c.Orphans["o.service"]).Pointer() {
		t.Error("Clone() shares Orphans of a unit")
	}

	c.DeletePlaced(Where{Host: "a", Unit: "u.service"})
	c.DeleteUnit("u.service")
	c.SetHostSpec("b", HostSpec{Cordon: &Note{}}, 9, time.Time{})
	if len(s.Placed["u.service"]) != 2 || !s.Several["u.service"] || s.Units["u.service"] == nil || s.Hosts["b"].Spec.Cordon != nil {
		t.Error("a change of the clone is seen in the snapshot")
	}
}

// apart wants every map of two values, in fields or in a map's values, to be another one.
func apart(t *testing.T, what string, a, b reflect.Value) {
	t.Helper()
	check := func(name string, x, y reflect.Value) {
		if x.Kind() == reflect.Map && x.Len() > 0 && x.Pointer() == y.Pointer() {
			t.Errorf("Clone() shares %s.%s", what, name)
		}
	}
	if a.Kind() == reflect.Map {
		for _, k := range a.MapKeys() {
			check(k.String(), a.MapIndex(k), b.MapIndex(k))
		}
		return
	}
	for i := range a.NumField() {
		if f := a.Type().Field(i); f.IsExported() && f.Type.Kind() == reflect.Map {
			if a.Field(i).Len() == 0 && what == "Snapshot" {
				t.Errorf("give the test's snapshot a %s, so that it is seen to be cloned", f.Name)
			}
			check(f.Name, a.Field(i), b.Field(i))
		}
	}
}
