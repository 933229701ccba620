package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

// familyCommand carries out what concerns families and moves; ok is false for other commands.
func (s *Script) familyCommand(word string, args []string) (err error, ok bool) { //nolint:revive // ok last reads better here
	switch {
	case word == "family" && len(args) == 2:
		return s.eachOf(args[0], args[1], func(u cluster.Unit) Change {
			return Change{Unit: u, Raw: content(u, 1), Target: target(units.Launched)}
		}), true
	case word == "replace" && len(args) == 3:
		version, err := strconv.Atoi(args[2])
		if err != nil {
			return fmt.Errorf("version %q: %w", args[2], err), true
		}
		return s.eachOf(args[0], args[1], func(u cluster.Unit) Change {
			return Change{Unit: u, Raw: content(u, version), Restart: true}
		}), true
	case word == "shift" && len(args) == 3:
		return s.shift(cluster.Unit(args[0]), args[1], args[2]), true
	}
	return nil, false
}

// eachOf has the user change all units of a family at once.
func (s *Script) eachOf(name, count string, change func(cluster.Unit) Change) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("number %q: %w", count, err)
	}
	var all []Change
	for i := range n {
		all = append(all, change(cluster.Unit(fmt.Sprintf("%s@%d.service", name, i+1))))
	}
	s.w.Type("change "+count+" of "+name, func(ctx context.Context) error { return s.w.Change(ctx, all...) })
	return nil
}

// shift has the user want a unit's present placement to leave a host.
func (s *Script) shift(u cluster.Unit, from, to string) error {
	a, b := s.host(from), s.host(to)
	if a == nil || b == nil {
		return fmt.Errorf("shift %s %s %s: no such host", u, from, to)
	}
	s.w.Type("shift "+string(u), func(ctx context.Context) error {
		generation := s.w.Judge.generation(cluster.Where{Host: a.id, Unit: u})
		results := s.w.User().EditUnits(ctx, []cluster.Unit{u}, func(_ int, old *cluster.UnitSpec, _ int64) (store.Edit, error) {
			if old == nil {
				return store.Edit{}, store.ErrNotFound
			}
			next := *old
			next.Shift = cluster.Shift{From: a.id, Generation: generation, To: b.id}
			return store.Edit{Spec: &next}, nil
		})
		return results[0].Err
	})
	return nil
}

// generation is that of the newest order for a unit on a host.
func (j *Judge) generation(w cluster.Where) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.places[w].last().Generation
}

// contents says how many units of a name run, and which versions they were started with.
func (s *Script) contents(name string) string {
	s.w.Typed()
	j := s.w.Judge
	j.mu.Lock()
	defer j.mu.Unlock()
	counts, running := map[string]int{}, 0
	for _, t := range j.machines {
		for u := range t.up {
			if !strings.HasPrefix(string(u), name) {
				continue
			}
			running++
			counts[versionOf(j.blobs[j.acks[cluster.Where{Host: t.id, Unit: u}].Blob])]++
		}
	}
	parts := []string{fmt.Sprintf("%s: %d run", name, running)}
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d of version %s", counts[v], v))
	}
	return strings.Join(parts, ", ") + "\n"
}

// versionOf is the version that a simulated content says.
func versionOf(raw []byte) string {
	_, rest, ok := strings.Cut(string(raw), "--version ")
	if !ok {
		return "0"
	}
	v, _, _ := strings.Cut(rest, "\n")
	return v
}
