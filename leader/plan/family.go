package plan

import (
	"math"
	"slices"
	"strings"

	"flotilla/cluster"
)

// families counts the instances of each template unit that occupy each host, whatever their
// target: a tombstone that nobody acknowledged counts too. It is filled at the first question.
type families struct {
	byKey  map[familyKey]*family
	filled bool
}

// familyKey names a template unit without making a string: what stands before @ and after the last dot.
type familyKey struct{ prefix, suffix string }

// family is one template unit with its instances.
type family struct {
	name    cluster.Unit
	at      []standing                 // hosts that hold any, by index
	total   int                        // on all hosts
	changes int                        // how often an instance came or went in this plan
	by      map[string]map[string]*int // by label that somebody asked about, by its value
}

// standing is how many instances a host holds.
type standing struct{ index, n int32 }

// noLabel is the count of a host without the label that a family is spread over: it comes last.
const noLabel = math.MaxInt

func keyOf(u cluster.Unit) (k familyKey, ok bool) {
	dot := strings.LastIndexByte(string(u), '.')
	if dot < 0 {
		return k, false
	}
	at := strings.IndexByte(string(u[:dot]), '@')
	if at < 0 || at+1 == dot {
		return k, false
	}
	return familyKey{string(u[:at]), string(u[dot:])}, true
}

// family is that of an instance, nil for any other unit.
func (l *ledger) family(u cluster.Unit) *family {
	k, ok := keyOf(u)
	if !ok {
		return nil
	}
	if !l.families.filled {
		l.fillFamilies()
	}
	return l.families.get(k)
}

func (s *families) get(k familyKey) *family {
	f := s.byKey[k]
	if f == nil {
		f = &family{name: cluster.Unit(k.prefix + "@" + k.suffix)}
		s.byKey[k] = f
	}
	return f
}

// fillFamilies counts all occupants of all hosts.
func (l *ledger) fillFamilies() {
	l.families = families{byKey: map[familyKey]*family{}, filled: true}
	for _, h := range l.hosts {
		for u := range h.Placed {
			if k, ok := keyOf(u); ok && l.order(u, h) != 0 {
				l.families.get(k).add(h, +1)
			}
		}
		for u, st := range h.changed {
			if k, ok := keyOf(u); ok && st != 0 && h.Placed[u] == nil {
				l.families.get(k).add(h, +1)
			}
		}
	}
}

// count keeps the counts when a unit comes to or leaves a host.
func (s *families) count(u cluster.Unit, h *host, by int) {
	if !s.filled {
		return
	}
	if k, ok := keyOf(u); ok {
		s.get(k).add(h, by)
	}
}

func (f *family) add(h *host, by int) {
	f.total += by
	f.changes++
	for label, values := range f.by {
		if v, ok := h.label()[label]; ok {
			*counter(values, v) += by
		}
	}
	i := f.find(h)
	if i == len(f.at) || f.at[i].index != int32(h.index) {
		f.at = slices.Insert(f.at, i, standing{index: int32(h.index)})
	}
	f.at[i].n += int32(by)
}

// find is the first entry of a host that does not come before this one.
func (f *family) find(h *host) int {
	low, high := 0, len(f.at)
	if high > 0 && f.at[high-1].index < int32(h.index) {
		return high
	}
	for low < high {
		if mid := (low + high) / 2; f.at[mid].index < int32(h.index) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// on is how many of the family a host holds; none for a unit that has no family.
func (f *family) on(h *host) int {
	if f == nil || len(f.at) == 0 {
		return 0
	}
	if i := f.find(h); i < len(f.at) && f.at[i].index == int32(h.index) {
		return int(f.at[i].n)
	}
	return 0
}

// values are the counts by the values of a label, kept from now on.
func (l *ledger) values(f *family, label string) map[string]*int {
	if values := f.by[label]; values != nil {
		return values
	}
	values := map[string]*int{}
	for _, s := range f.at {
		if v, ok := l.hosts[s.index].label()[label]; ok {
			*counter(values, v) += int(s.n)
		}
	}
	if f.by == nil {
		f.by = map[string]map[string]*int{}
	}
	f.by[label] = values
	return values
}

func counter(values map[string]*int, v string) *int {
	n := values[v]
	if n == nil {
		n = new(int)
		values[v] = n
	}
	return n
}
