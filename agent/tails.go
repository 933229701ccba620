package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"flotilla/cluster"
)

// tailLines is how many log lines of a failed unit its status carries.
const tailLines = 10

// tails fetches the last log lines of failed units, one unit at a time and once for
// each failure, so that a slow journal delays nothing.
type tails struct {
	journal Journal
	log     *slog.Logger
	tell    func()
	kick    bell

	mu    sync.Mutex
	lines map[cluster.Unit]tail
	queue []cluster.Unit
}

type tail struct {
	invocation string
	fetched    bool
	lines      []string
}

func newTails(j Journal, log *slog.Logger, tell func()) *tails {
	return &tails{journal: j, log: log, tell: tell, kick: newBell(), lines: map[cluster.Unit]tail{}}
}

// of is what is known of one failure; what is not known is fetched.
func (t *tails) of(name cluster.Unit, invocation string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	have, ok := t.lines[name]
	if ok && have.invocation == invocation {
		return have.lines
	}
	t.lines[name] = tail{invocation: invocation}
	t.queue = append(t.queue, name)
	t.kick.ring()
	return nil
}

// keep drops the lines of units that neither failed nor were refused, or are gone.
func (t *tails) keep(of map[cluster.Unit]cluster.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.lines {
		if st, ok := of[name]; !ok || !st.State.Failed() && !st.Refused {
			delete(t.lines, name)
		}
	}
}

func (t *tails) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.kick:
		}
		for t.one(ctx) {
		}
	}
}

// one fetches for the first unit in the queue. It is false when there is none.
func (t *tails) one(ctx context.Context) bool {
	t.mu.Lock()
	if len(t.queue) == 0 || ctx.Err() != nil {
		t.mu.Unlock()
		return false
	}
	name := t.queue[0]
	t.queue = t.queue[1:]
	want := t.lines[name]
	t.mu.Unlock()
	if want.fetched {
		return true
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	lines, err := t.journal.LastLines(limited, string(name), want.invocation, tailLines)
	if err != nil && ctx.Err() == nil {
		t.log.Warn("cannot read the journal of a failed unit", "unit", name, "err", err)
	}
	t.mu.Lock()
	if now, ok := t.lines[name]; ok && now.invocation == want.invocation {
		t.lines[name] = tail{want.invocation, true, lines}
	}
	t.mu.Unlock()
	t.tell()
	return true
}
