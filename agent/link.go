package agent

import (
	"sync"
	"time"
)

// link remembers since when the store is out of reach.
type link struct {
	mu    sync.Mutex
	since time.Time
}

func (l *link) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		l.since = time.Now()
	}
}

func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Time{}
}

func (l *link) away() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since
}
