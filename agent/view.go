package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// Memory is the last complete view that this host followed, with what tells its
// store from another one. It is on disk before it is acted on.
type Memory struct {
	View   cluster.View `json:"view"`
	Boot   string       `json:"boot"`             // the boot in which it was read
	Seen   int64        `json:"seen,omitempty"`   // the newest revision of its store that was seen
	Used   []string     `json:"used,omitempty"`   // ids of acceptances that were seen
	Frozen string       `json:"frozen,omitempty"` // the store went back or may have, and nobody accepted that yet
}

// Judge says why a host that remembers m must not follow v; "" means that it may.
// It is asked about fresh, linearizable reads only, because an older
// revision is a sign of a store that went back.
func (m Memory) Judge(v cluster.View) string {
	known, now := m.View.Store, v.Store
	if now.ID == "" {
		return "frozen: the store has no identity, it was wiped or never initialised; nothing is stopped or started until it is back or accepted (flotilla accept-store)"
	}
	if known.ID == "" || m.accepts(v) {
		return ""
	}
	switch {
	case now.ID == known.ID && now.Generation > known.Generation:
		return ""
	case now.ID == known.ID && m.Frozen != "":
		return m.Frozen
	case now.ID != known.ID:
		return fmt.Sprintf("frozen: the store is another one (%.8s) than this host knows (%.8s); nothing is stopped or started until it is accepted (flotilla accept-store)", now.ID, known.ID)
	case now.Generation < known.Generation:
		return fmt.Sprintf("frozen: the store is older (generation %d) than this host knows (generation %d); accept it with flotilla accept-store", now.Generation, known.Generation)
	case now.Generation == known.Generation && v.Revision < m.seen():
		return fmt.Sprintf("frozen: the store went back to revision %d, this host saw %d; accept it with flotilla accept-store", v.Revision, m.seen())
	}
	return ""
}

func (m Memory) seen() int64 { return max(m.Seen, m.View.Revision) }

// Saw is what is remembered once the store of m was seen at v.Seen.
func (m Memory) Saw(v cluster.View) Memory {
	if v.Store.ID == m.View.Store.ID && v.Store.Generation == m.View.Store.Generation {
		m.Seen = max(m.Seen, v.Seen)
	}
	return m
}

// accepts reports whether an operator accepted the step from the remembered store to
// v's. An acceptance counts once.
func (m Memory) accepts(v cluster.View) bool {
	if v.Accepted == nil || v.Accepted.Old != m.View.Store.ID {
		return false
	}
	return !slices.Contains(m.Used, v.Accepted.ID)
}

// mayBeOlder is why the known store is not followed after another one, or none, stood in its place.
const mayBeOlder = "frozen: the store was empty or another one for a while, and may have been set back meanwhile; nothing is stopped or started until it is accepted (flotilla accept-store)"

// Freeze is what is remembered once v must not be followed for a reason. That this very
// store went back is not forgotten when its revisions grow past the remembered one: what was
// ordered in between is lost, and what it says is older than what was obeyed. A store that was gone
// may come back like that, and have grown past it by the next look.
func (m Memory) Freeze(v cluster.View, why string) Memory {
	switch {
	case v.Store.ID == m.View.Store.ID:
		m.Frozen = why
	case m.Frozen == "":
		m.Frozen = mayBeOlder
	}
	return m
}

// Step is what is remembered once v is followed. An acceptance that was seen is used up
// for good: a backup may hold it again.
func (m Memory) Step(v cluster.View, boot string) Memory {
	used := m.Used
	if v.Accepted != nil && !slices.Contains(used, v.Accepted.ID) {
		used = append(slices.Clone(used), v.Accepted.ID)
	}
	next := Memory{View: v, Boot: boot, Used: used}
	if !m.accepts(v) {
		next = next.Saw(cluster.View{Store: m.View.Store, Seen: m.Seen})
	}
	return next
}

// viewDisk keeps a Memory and the content it names: view.json and blob/<sha256>.
type viewDisk struct{ dir string }

func (d viewDisk) blob(h units.Hash) string { return filepath.Join(d.dir, "blob", string(h)) }

// load reads the memory; a host that never followed a view has none.
func (d viewDisk) load() (Memory, error) {
	var m Memory
	if err := os.MkdirAll(filepath.Join(d.dir, "blob"), 0o700); err != nil {
		return m, fmt.Errorf("make the folder of the last view: %w", err)
	}
	if _, err := readJSON(filepath.Join(d.dir, "view.json"), &m); err != nil {
		return Memory{}, err
	}
	return m, nil
}

// content reads a blob and proves it; one that is not there or not right is ok = false.
func (d viewDisk) content(h units.Hash) (raw []byte, ok bool) {
	raw, err := os.ReadFile(d.blob(h))
	return raw, err == nil && units.HashOf(raw) == h
}

// save writes blobs, then the memory that names them. All are on disk when it returns.
func (d viewDisk) save(m Memory, blobs map[units.Hash][]byte) error {
	for h, raw := range blobs {
		if err := writeFile(d.blob(h), raw, true); err != nil {
			return fmt.Errorf("keep content %s: %w", h.Short(), err)
		}
	}
	if len(blobs) > 0 {
		if err := syncFolder(filepath.Join(d.dir, "blob")); err != nil {
			return fmt.Errorf("keep content: %w", err)
		}
	}
	return writeJSON(filepath.Join(d.dir, "view.json"), m, true)
}

// sweep removes the content that a saved memory does not name.
func (d viewDisk) sweep(m Memory) error {
	named := map[string]bool{}
	for _, p := range m.View.Place {
		named[string(p.Blob)] = true
		named[string(p.DropIns)] = true
	}
	entries, err := os.ReadDir(filepath.Join(d.dir, "blob"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the folder of kept content: %w", err)
	}
	for _, e := range entries {
		if named[e.Name()] {
			continue
		}
		if err := ignoreAbsent(os.Remove(filepath.Join(d.dir, "blob", e.Name()))); err != nil {
			return fmt.Errorf("remove kept content: %w", err)
		}
	}
	return nil
}
