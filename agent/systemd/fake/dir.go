package fake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"flotilla/agent/systemd"
	"flotilla/units"
)

// Dir is the folder of unit files of a Host, with the rules of systemd.Dir.
type Dir struct{ h *Host }

// Dir is the host's /run/systemd/system.
func (h *Host) Dir() *Dir { return &Dir{h} }

func full(name string) string { return systemd.RuntimePath + "/" + name }

// Write puts a unit file in its place; see systemd.Dir.
func (d *Dir) Write(name string, data []byte) error {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := systemd.CheckFileName(name); err != nil {
		return fmt.Errorf("write unit %s: %w", name, err)
	}
	if !h.marked(name) {
		return fmt.Errorf("write unit %s: %w", name, systemd.ErrNotOurs)
	}
	h.put(name, "", string(data))
	return nil
}

// WriteDropIn puts a drop-in in its place; see systemd.Dir.
func (d *Dir) WriteDropIn(unit, file string, data []byte) error {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range []string{unit, file} {
		if err := systemd.CheckFileName(name); err != nil {
			return fmt.Errorf("write drop-in of %s: %w", unit, err)
		}
	}
	if !strings.HasSuffix(file, ".conf") {
		return fmt.Errorf("write drop-in of %s: %w", unit, systemd.ErrBadName)
	}
	if h.has(unit) && !h.marked(unit) || file != systemd.DropIn && h.byAnother(unit, file) {
		return fmt.Errorf("write drop-in of %s: %w", unit, systemd.ErrNotOurs)
	}
	h.put(unit, file, systemd.Header+string(data))
	return nil
}

// RemoveDropIn takes a drop-in of ours away; see systemd.Dir.
func (d *Dir) RemoveDropIn(unit, file string) error {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range []string{unit, file} {
		if err := systemd.CheckFileName(name); err != nil {
			return fmt.Errorf("remove drop-in of %s: %w", unit, err)
		}
	}
	if file == systemd.DropIn {
		return fmt.Errorf("remove drop-in of %s: %w", unit, systemd.ErrBadName)
	}
	if h.byAnother(unit, file) {
		return fmt.Errorf("remove drop-in of %s: %w", unit, systemd.ErrNotOurs)
	}
	h.erase(unit, file)
	return nil
}

// byAnother says that a drop-in is there which we did not write.
func (h *Host) byAnother(unit, file string) bool {
	data, there := h.dropIns[unit][file]
	return there && !strings.HasPrefix(data, systemd.Header)
}

// Remove takes a unit of ours away; see systemd.Dir.
func (d *Dir) Remove(unit string) error {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := systemd.CheckFileName(unit); err != nil {
		return fmt.Errorf("remove unit %s: %w", unit, err)
	}
	if h.has(unit) && !h.marked(unit) {
		return fmt.Errorf("remove unit %s: %w", unit, systemd.ErrNotOurs)
	}
	h.erase(unit, "")
	h.unmark(unit)
	return nil
}

// List returns the units of ours, sorted; see systemd.Dir.
func (d *Dir) List() ([]systemd.Entry, error) {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	var entries []systemd.Entry
	for unit, data := range h.files {
		if !h.marked(unit) {
			continue
		}
		sum := sha256.Sum256([]byte(data))
		mark := h.dropIns[unit][systemd.DropIn]
		entries = append(entries, systemd.Entry{
			Name: unit, Hash: hex.EncodeToString(sum[:]), DropIn: []byte(mark[len(systemd.Header):]), Others: h.others(unit),
		})
	}
	slices.SortFunc(entries, func(a, b systemd.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// others are the drop-ins of a unit that we wrote beside DropIn.
func (h *Host) others(unit string) units.DropIns {
	var out units.DropIns
	for _, file := range slices.Sorted(maps.Keys(h.dropIns[unit])) {
		if body, ours := strings.CutPrefix(h.dropIns[unit][file], systemd.Header); ours && file != systemd.DropIn {
			out = append(out, units.DropIn{Name: file, Raw: []byte(body)})
		}
	}
	return out
}

// Sweep removes drop-ins of ours without a unit file; see systemd.Dir.
func (d *Dir) Sweep() error {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	for unit := range h.dropIns {
		if !h.has(unit) && h.marked(unit) {
			h.unmark(unit)
		}
	}
	return nil
}

// Elsewhere says whether the host has a unit of this name of its own; see systemd.Dir.
func (d *Dir) Elsewhere(name string) (string, bool) {
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	names := []string{name}
	if template, _ := instanceOf(name); template != "" {
		names = append(names, template)
	}
	for _, n := range names {
		if h.has(n) && !h.marked(n) {
			return full(n), true
		}
		if host, ok := h.hosts[n]; ok {
			return host.path, true
		}
	}
	return "", false
}

// PutForeign writes a unit file or a drop-in (UNIT.d/FILE) that is not ours, as another
// program would.
func (d *Dir) PutForeign(name string, data []byte) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	unit, file, _ := strings.Cut(name, ".d/")
	d.h.put(unit, file, string(data))
}

// DelForeign removes a unit file or a drop-in, whoever wrote it.
func (d *Dir) DelForeign(name string) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	unit, file, _ := strings.Cut(name, ".d/")
	d.h.erase(unit, file)
}

func (h *Host) has(unit string) bool {
	_, ok := h.files[unit]
	return ok
}

func (h *Host) marked(unit string) bool {
	return strings.HasPrefix(h.dropIns[unit][systemd.DropIn], systemd.Header)
}

func (h *Host) unmark(unit string) {
	for file, data := range h.dropIns[unit] {
		if strings.HasPrefix(data, systemd.Header) {
			h.erase(unit, file)
		}
	}
}

// put writes a unit's file, or one of its drop-ins if dropIn is not empty.
func (h *Host) put(unit, dropIn, data string) {
	in, key := h.files, unit
	if dropIn != "" {
		if h.dropIns[unit] == nil {
			h.dropIns[unit] = map[string]string{}
		}
		in, key = h.dropIns[unit], dropIn
	}
	if have, ok := in[key]; ok && have == data {
		return
	}
	in[key] = data
	h.version[unit]++
	h.dirty[unit] = true
}

func (h *Host) erase(unit, dropIn string) {
	in, key := h.files, unit
	if dropIn != "" {
		in, key = h.dropIns[unit], dropIn
	}
	if _, ok := in[key]; !ok {
		return
	}
	delete(in, key)
	if dropIn != "" && len(in) == 0 {
		delete(h.dropIns, unit)
	}
	h.version[unit]++
	h.dirty[unit] = true
}
