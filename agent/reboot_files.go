package agent

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"flotilla/cluster"
)

// workFile is what was done for one grant in this boot (reboot.json in /run).
type workFile struct {
	Boot       cluster.Boot  `json:"boot"`
	Generation int64         `json:"generation"`       // of the grant
	Warned     time.Duration `json:"warned,omitempty"` // when people were told, on CLOCK_BOOTTIME
	Hooks      time.Duration `json:"hooks,omitempty"`  // how long a hook may take; 0 = no hook before the reboot was run that is still to be undone
	Before     bool          `json:"before,omitempty"` // the hook before the reboot went well
	After      bool          `json:"after,omitempty"`  // the hook after it
	Seen       time.Duration `json:"seen,omitempty"`   // when the permission was first seen, on CLOCK_BOOTTIME
	Since      time.Time     `json:"since,omitzero"`   // Grant.Since of that permission, which tells it from an earlier one
}

// lifeFile is what tells the next boot how it came about (reboot.json in the folder that outlives boots).
type lifeFile struct {
	path string

	mu  sync.Mutex
	now life
}

type life struct {
	Boot    cluster.Boot      `json:"boot"`
	Granted int64             `json:"granted,omitempty"` // generation of the grant with which it ends
	Typed   bool              `json:"typed,omitempty"`   // somebody else asked for its end
	Last    *cluster.LastBoot `json:"last,omitempty"`
}

// open reads the file and begins a new life if it is of another boot. A host without one tells nothing of the
// boot before.
func (f *lifeFile) open(path string, boot cluster.Boot) error {
	f.path = path
	var was life
	ok, err := readJSON(path, &was)
	if ok && err == nil && was.Boot == boot {
		f.now = was
		return nil
	}
	f.now = life{Boot: boot}
	if ok && err == nil {
		f.now.Last = &cluster.LastBoot{Before: was.Boot, How: was.end()}
	}
	return errors.Join(err, writeJSON(path, f.now, true))
}

// end is how a life ended of which another one knows only this file.
func (l life) end() string {
	switch {
	case l.Granted != 0:
		return "granted"
	case l.Typed:
		return "typed"
	}
	return "unexpected"
}

func (f *lifeFile) last() *cluster.LastBoot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.Last
}

// granted is the generation of the grant with which this life ends; 0 = none is carried out.
func (f *lifeFile) granted() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.Granted
}

// set changes the life; it is on disk when set returns.
func (f *lifeFile) set(edit func(*life)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.now
	edit(&next)
	if next == f.now {
		return nil
	}
	if err := writeJSON(f.path, next, true); err != nil {
		return fmt.Errorf("keep how this boot ends: %w", err)
	}
	f.now = next
	return nil
}
