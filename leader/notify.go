package leader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// Poster tells somebody outside of what became of reboots.
type Poster interface {
	// Post sends a JSON body and returns nil if it was taken. It ends within seconds, and with ctx at once. Its error may
	// be shown: it does not hold the URL.
	Post(ctx context.Context, url string, body []byte) error
}

// A message is tried postTries times, with pauses from postFirst on that double: over a minute, and then it is given up,
// so that one that nobody takes holds up the others for no longer.
const (
	postTries  = 7
	postFirst  = time.Second
	notifyRest = time.Second // between two looks at the history
)

// notify tells of what became of reboots until the term ends. It runs beside the loop, which never waits for it. How far
// it came is written under the term, after the telling: the next leader goes on from there, and may tell the last
// message once more.
func (l *Loop) notify(ctx context.Context, term cluster.Term) {
	if l.poster == nil || l.mirror.WaitRevision(ctx, term.Revision) != nil {
		return
	}
	changed, cancel := l.mirror.Subscribe()
	defer cancel()
	for ctx.Err() == nil {
		var next plan.Untold
		l.mirror.Read(func(s *cluster.Snapshot) {
			if s.Complete {
				next = plan.NextMessages(s, l.options, l.clock())
			}
		})
		var err error
		if next.Then != nil {
			if err = l.tellAll(ctx, &next); err == nil {
				err = l.noteTold(ctx, term, next.Then)
			}
		}
		switch {
		case errors.Is(err, errElsewhere), err == nil && next.Then != nil:
		case err != nil:
			if ctx.Err() == nil {
				l.log.Warn("note how far outcomes of reboots were told", "err", err)
			}
			_ = sleep(ctx, notifyRest)
		default:
			l.awaitNews(ctx, changed, next.Due)
		}
	}
}

// awaitNews waits until there may be more to tell.
func (l *Loop) awaitNews(ctx context.Context, changed <-chan struct{}, due time.Time) {
	var timer <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(max(due.Sub(l.clock()), 0))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-changed:
		_ = sleep(ctx, notifyRest)
	}
}

// errElsewhere says that the webhook is another one by now.
var errElsewhere = errors.New("the webhook was changed")

// tellAll tells messages one after the other, and counts in next.Then those that are given up. It returns an error only
// when what is to be told has to be asked anew.
func (l *Loop) tellAll(ctx context.Context, next *plan.Untold) error {
	for _, m := range next.Messages {
		body, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode a message: %w", err)
		}
		switch err := l.tell(ctx, next.To, body); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errElsewhere):
			return err
		case err != nil:
			next.Then.Lost++
			next.Then.Trouble, next.Then.Since = err.Error(), l.clock().UTC()
			l.metrics.messages.WithLabelValues("lost").Inc()
			l.log.Error("a webhook does not take what became of reboots", "message", m.Text, "tries", postTries, "err", err)
		default:
			l.metrics.messages.WithLabelValues("told").Inc()
		}
	}
	return nil
}

// tell tries to tell one message.
func (l *Loop) tell(ctx context.Context, to string, body []byte) error {
	pause := postFirst
	for try := 1; ; try++ {
		err := l.poster.Post(ctx, to, body)
		if err == nil || ctx.Err() != nil {
			return err
		}
		l.metrics.posts.Inc()
		l.log.Debug("tell a webhook", "try", try, "err", err)
		if try == postTries {
			return err
		}
		if sleep(ctx, pause) != nil {
			return ctx.Err()
		}
		pause *= 2
		if l.webhook() != to {
			return errElsewhere
		}
	}
}

func (l *Loop) webhook() (url string) {
	l.mirror.Read(func(s *cluster.Snapshot) { url = s.Reboots.Webhook })
	return url
}

// noteTold writes how far outcomes were told, and waits until the mirror shows it.
func (l *Loop) noteTold(ctx context.Context, term cluster.Term, n *cluster.Notified) error {
	rev, errs := l.store.Apply(ctx, term, []cluster.Orders{{Notified: n}})
	if errs[0] != nil {
		return errs[0]
	}
	return l.mirror.WaitRevision(ctx, rev)
}
